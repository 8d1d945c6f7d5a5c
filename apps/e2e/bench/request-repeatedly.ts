import { Agent, get } from 'node:http';
import type { Sample } from './comparison.ts';

/** A request that one side of a comparison is measured with. */
export interface RepeatedRequest {
  readonly url: string;
  readonly token: string;
  /** What every answer has to be, to the byte. */
  readonly body: Buffer;
}

export interface Repetition {
  /** Of each sample. */
  readonly requests: number;
  /** Kept open, each with one request at a time. @default 16 */
  readonly connections?: number;
}

/** Measures so many equal requests over connections that stay open. Every status is looked at, every body compared. */
export async function requestRepeatedly(
  side: { cpu(): Promise<number> },
  request: RepeatedRequest,
  { requests, connections = 16 }: Repetition,
): Promise<Sample> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  try {
    const before = await side.cpu();
    let left = requests;
    const work = async () => {
      for (; left > 0;) {
        left -= 1;
        await requestOnce(agent, request);
      }
    };
    await Promise.all(Array.from({ length: connections }, work));
    return { cpu: (await side.cpu()) - before, units: requests };
  } finally {
    agent.destroy();
  }
}

function requestOnce(agent: Agent, { url, token, body }: RepeatedRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = get(url, { agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => void pieces.push(piece));
      response.on('end', () => {
        const answered = Buffer.concat(pieces);
        if (response.statusCode === 200 && answered.equals(body)) return resolve();
        reject(new Error(`${url} answered ${response.statusCode}: ${answered.toString().slice(0, 500)}`));
      });
      response.on('error', reject);
    });
    asked.on('error', reject);
  });
}
