import { plainText } from './plain-text.ts';

/** What is written here may be of others: it is shown and never obeyed. */
export interface Output {
  write(text: string): void;
  /** Obeys what it is given: for an editor of lines, which draws its prompt. */
  readonly stream: NodeJS.WriteStream;
}

export interface Terminal {
  readonly input: NodeJS.ReadStream;
  /** What users and models write. */
  readonly output: Output;
  /** Everything else. */
  readonly notices: Output;
}

export function openTerminal({ stdin, stdout, stderr }: Pick<NodeJS.Process, 'stdin' | 'stdout' | 'stderr'>): Terminal {
  return { input: stdin, output: openOutput(stdout), notices: openOutput(stderr) };
}

function openOutput(stream: NodeJS.WriteStream): Output {
  return { stream, write: (text) => void stream.write(plainText(text)) };
}
