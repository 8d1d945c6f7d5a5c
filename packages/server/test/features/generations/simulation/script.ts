import type { ProviderErrorCode } from '../../../../src/clients/providers/provider.ts';
import type { Random } from './random.ts';

/** What the model says in one generation; the truth that readers are measured by. */
export interface Script {
  readonly texts: readonly string[];
  /** How the model's stream ends; `silent`: without a finish reason. */
  readonly end: 'finish' | 'silent' | ProviderErrorCode;
}

export function writeScript(random: Random, label: string): Script {
  // Every text is like no other, so that one that is lost, repeated or out of its place shows.
  const texts = Array.from(
    { length: random.below(14) },
    (_, index) => `<${label}.${index}${'·'.repeat(random.below(30))}>`,
  );
  const end = random.chance(0.7) ? 'finish' : random.pick(['silent', 'MODEL_ERROR', 'MODEL_TIMEOUT'] as const);
  return { texts, end };
}

/** The text at a position of the owner that was admitted: its `start` is number 1, each text one more. */
export function textAt(script: Script, number: number): string {
  return script.texts.slice(0, number - 1).join('');
}
