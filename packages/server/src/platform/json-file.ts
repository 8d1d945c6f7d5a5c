import type { z } from 'zod';

export type JsonFileReading =
  | { readonly ok: true; readonly json: unknown }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Parses the text of a JSON file that an operator has written. */
export function parseJsonFile(text: string): JsonFileReading {
  try {
    // Editors of some systems begin a file with a byte order mark.
    return { ok: true, json: JSON.parse(text.replace(/^\uFEFF/, '')) };
  } catch (error) {
    return { ok: false, problems: [`it is not JSON: ${error instanceof Error ? error.message : 'unreadable'}`] };
  }
}

/** What a schema refuses of such a file, each problem with the place it is at; unknown fields are told one by one. */
export function describeFileIssues(
  error: z.ZodError,
  describePath: (path: readonly PropertyKey[]) => string,
): string[] {
  return error.issues.flatMap((issue) => {
    const where = describePath(issue.path);
    if (issue.code !== 'unrecognized_keys') return [`${where}: ${issue.message}`];
    return issue.keys.map((key) => `${where}: unknown field ${JSON.stringify(key)}`);
  });
}
