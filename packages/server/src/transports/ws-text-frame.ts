/** Of RFC 6455, section 5.2. */
const finBit = 0x80;
const opcodes = { text: 0x01, continuation: 0x00 };
const maxShortLength = 125;
const maxMediumLength = 0xffff;

/**
 * A frame of a text message as a server sends it, unmasked: header and payload in one piece, so that it is one write and
 * can be sent to many.
 */
export function textFrame(payload: string | Buffer, { isFirst = true, isLast = true } = {}): Buffer {
  const length = Buffer.byteLength(payload);
  const start = length <= maxShortLength ? 2 : length <= maxMediumLength ? 4 : 10;
  const frame = Buffer.allocUnsafe(start + length);
  frame[0] = (isLast ? finBit : 0) | (isFirst ? opcodes.text : opcodes.continuation);
  if (start === 2) frame[1] = length;
  else if (start === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  if (typeof payload === 'string') frame.write(payload, start);
  else payload.copy(frame, start);
  return frame;
}
