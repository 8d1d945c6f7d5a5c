import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

/** Makes the id of a new row: UUIDv7, increasing within a process also inside one millisecond. */
export type NewId = () => string;

export const newUuid: NewId = () => v7();

const bytesPerId = 16;
const drawn = new Uint8Array(256 * bytesPerId);
let used = drawn.length;

/**
 * Makes the id of a request: UUIDv7, in any order inside one millisecond. What is random in it is drawn for many at once,
 * since each draw costs a system call.
 */
export const newRequestId: NewId = () => {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  used += bytesPerId;
  return v7({ random: drawn.subarray(used - bytesPerId, used) });
};
