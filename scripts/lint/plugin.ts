import { isAbsolute, posix, relative, sep } from 'node:path';
import { constructsElsewhere, forbidden } from './layers.ts';

/** The part of the linter's syntax tree that the rules below read. */
interface Node {
  readonly type: string;
  readonly name?: string;
  readonly value?: unknown;
  readonly importKind?: 'type' | 'value';
  readonly exportKind?: 'type' | 'value';
  readonly source?: Node | null;
  readonly imported?: Node;
  readonly local?: Node;
  readonly specifiers?: readonly Node[];
  readonly callee?: Node;
  readonly object?: Node;
  readonly property?: Node;
  readonly arguments?: readonly Node[];
  readonly expression?: Node;
  readonly typeAnnotation?: Node;
}

interface RuleContext {
  readonly cwd: string;
  readonly filename: string;
  report(descriptor: { readonly node: Node; readonly message: string }): void;
}

type Visitor = Record<string, (node: Node) => void>;

function slashed(path: string): string {
  return path.split(sep).join('/');
}

/** Where a specifier leads: a path from the workspace's root, or the specifier itself when it names a package. */
function target(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(from), specifier);
  const own = /^@chat-service\/(?:server|shared|client-sdk)\/(.+)$/.exec(specifier);
  const home = /^(packages\/([^/]+))\//.exec(from);
  // A package that names itself is as good as a relative path.
  if (own !== null && home !== null && specifier.startsWith(`@chat-service/${home[2]}/`))
    return `${home[1]}/src/${own[1]}.ts`;
  return specifier;
}

function text(node: Node | null | undefined): string | undefined {
  return typeof node?.value === 'string' ? node.value : undefined;
}

function exportedName(specifier: Node): string | undefined {
  const name = specifier.imported ?? specifier.local;
  return name?.name ?? text(name);
}

/** An import counts as one of types when nothing of it is left after the types are stripped. */
function typesOnly(node: Node): boolean {
  if (node.importKind === 'type' || node.exportKind === 'type') return true;
  const { specifiers = [] } = node;
  return specifiers.length > 0 && specifiers.every((one) => one.importKind === 'type' || one.exportKind === 'type');
}

function eachImport(
  context: RuleContext,
  visit: (node: Node, from: string, to: string, typeOnly: boolean) => void,
): Visitor {
  const path = isAbsolute(context.filename) ? relative(context.cwd, context.filename) : context.filename;
  const from = slashed(path);
  const see = (node: Node, typeOnly: boolean): void => {
    const specifier = text(node.source);
    if (specifier !== undefined) visit(node, from, target(from, specifier), typeOnly);
  };
  const declaration = (node: Node): void => see(node, typesOnly(node));
  return {
    ImportDeclaration: declaration,
    ExportNamedDeclaration: declaration,
    ExportAllDeclaration: declaration,
    ImportExpression: (node) => see(node, false),
    TSImportType: (node) => see(node, true),
  };
}

const layers = {
  create: (context: RuleContext): Visitor =>
    eachImport(context, (node, from, to, typeOnly) => {
      const message = forbidden({ from, to, typeOnly });
      if (message !== undefined) context.report({ node, message });
    }),
};

const constructInApp = {
  create: (context: RuleContext): Visitor =>
    eachImport(context, (node, from, to, typeOnly) => {
      for (const specifier of node.specifiers ?? []) {
        const name = exportedName(specifier);
        const typed = typeOnly || specifier.importKind === 'type';
        if (name !== undefined && constructsElsewhere({ from, to, typeOnly: typed }, name)) {
          context.report({
            node: specifier,
            message: `${name} builds a service: only app.ts and commands/ do, and pass it on`,
          });
        }
      }
    }),
};

function isGlobal(node: Node | undefined, name: string): boolean {
  const viaGlobal =
    node?.type === 'MemberExpression' && isGlobal(node.object, 'globalThis') && node.property?.name === name;
  return (node?.type === 'Identifier' && node.name === name) || viaGlobal;
}

const clockMessage = 'the time comes from the clock that is passed in';

const passedInClock = {
  create: (context: RuleContext): Visitor => ({
    MemberExpression: (node) => {
      const name = node.property?.name ?? text(node.property);
      if (name !== 'now' || !(isGlobal(node.object, 'Date') || isGlobal(node.object, 'performance'))) return;
      context.report({ node, message: clockMessage });
    },
    NewExpression: (node) => {
      if (isGlobal(node.callee, 'Date') && node.arguments?.length === 0)
        context.report({ node, message: clockMessage });
    },
    CallExpression: (node) => {
      if (isGlobal(node.callee, 'Date')) context.report({ node, message: clockMessage });
    },
  }),
};

const noDoubleAssertion = {
  create: (context: RuleContext): Visitor => ({
    TSAsExpression: (node) => {
      const { expression } = node;
      if (expression?.type !== 'TSAsExpression' || expression.typeAnnotation?.type !== 'TSUnknownKeyword') return;
      context.report({
        node,
        message: 'an assertion over unknown asserts anything: narrow the value, or type its source',
      });
    },
  }),
};

/** The workspace's own lint rules. A linter plugin is its module's default export: that is the linter's interface. */
export default {
  meta: { name: 'chat-service' },
  rules: {
    layers,
    'construct-in-app': constructInApp,
    'passed-in-clock': passedInClock,
    'no-double-assertion': noDoubleAssertion,
  },
};
