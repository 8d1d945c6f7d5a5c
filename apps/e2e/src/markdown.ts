export interface CodeBlock {
  /** What stands behind the opening fence, empty where nothing does. */
  readonly language: string;
  readonly code: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
}

const fence = /^```(\w*)\s*$/u;

/** The fenced code blocks of a document, in order. @throws Error where a fence is never closed */
export function codeBlocks(markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { language: string; lines: string[]; line: number } | null = null;
  for (const [index, line] of markdown.split('\n').entries()) {
    const language = fence.exec(line)?.[1];
    if (language !== undefined && open === null) open = { language, lines: [], line: index + 1 };
    else if (language === '' && open !== null) {
      blocks.push({ language: open.language, code: open.lines.join('\n'), line: open.line });
      open = null;
    } else open?.lines.push(line);
  }
  if (open !== null) throw new Error(`the code block of line ${open.line} is never closed`);
  return blocks;
}

/** The document without its fenced code blocks. */
export function prose(markdown: string): string {
  return markdown.replaceAll(/^```\w*\s*\n[^]*?^```\s*$/gmu, '');
}

/** What stands between backticks in the prose of a document. */
export function inlineCode(markdown: string): string[] {
  return [...prose(markdown).matchAll(/`([^`]+)`/gu)].map(([, code = '']) => code.replaceAll(/\s+/gu, ' '));
}

/** The links of a document that lead to files, relative to it and without anchors. */
export function fileLinks(markdown: string): string[] {
  return [...prose(markdown).matchAll(/\]\(([^)\s]+)\)/gu)]
    .map(([, target = '']) => target.split('#')[0] ?? '')
    .filter((target) => target !== '' && !/^[a-z]+:/u.test(target));
}

/** The code in the first cell of each row of the table under a heading. */
export function firstCells(markdown: string, heading: string): string[] {
  const section = markdown.split(/^#+ /mu).find((text) => text.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`there is no heading "${heading}"`);
  return [...section.matchAll(/^\| ([^|]*) \|/gmu)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/gu)].map(([, code = '']) => code),
  );
}
