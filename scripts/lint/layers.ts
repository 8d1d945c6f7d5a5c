/**
 * Who may import whom. Paths are relative to the workspace's root, with forward slashes.
 *
 * main → commands → app → transports → app-router → *-router → operations → {own store, other features' operations,
 * client ports} → db. A layer may import what stands to its right in its row below, `shared` always.
 */

export type Layer =
  | 'main'
  | 'commands'
  | 'app'
  | 'transports'
  | 'app-router'
  | 'router'
  | 'operation'
  | 'store'
  | 'clients'
  | 'db'
  | 'trpc'
  | 'config'
  | 'platform'
  | 'unknown';

export interface ServerFile {
  readonly layer: Layer;
  /** The folder under `features/`, `clients/` or the layer's own: what may use its own factories freely. */
  readonly unit: string;
}

const everythingBelowApp: readonly Layer[] = [
  'transports',
  'app-router',
  'router',
  'operation',
  'store',
  'clients',
  'db',
  'trpc',
  'config',
  'platform',
];

/** What each layer may import beside itself. */
const mayImport: Record<Layer, readonly Layer[]> = {
  main: ['commands', 'platform'],
  commands: ['app', ...everythingBelowApp],
  app: everythingBelowApp,
  transports: ['app-router', 'trpc', 'clients', 'platform'],
  'app-router': ['router', 'trpc', 'platform'],
  router: ['operation', 'trpc', 'clients', 'platform'],
  operation: ['store', 'clients', 'db', 'platform'],
  store: ['operation', 'clients', 'db', 'platform'],
  clients: ['db', 'platform'],
  db: ['platform'],
  // Errors of the database are told from bugs where errors are mapped.
  trpc: ['clients', 'db', 'platform'],
  // The shapes of what it configures stand with what is configured.
  config: ['operation', 'clients', 'db', 'platform'],
  platform: [],
  unknown: [],
};

/** Features that know no other, and what `generations`, which others call, must not know. */
const foreignFeatures: Record<string, (target: string) => boolean> = {
  credits: () => false,
  limits: () => false,
  models: () => false,
  generations: (target) => target !== 'messages' && target !== 'supervision',
};

/** Layers that speak tRPC. Everything else gets and gives plain values. */
const speaksTrpc: readonly Layer[] = ['trpc', 'transports', 'app-router', 'router', 'app'];

export function serverFile(path: string): ServerFile | undefined {
  const inside = /^packages\/server\/src\/(.+)$/.exec(path)?.[1];
  if (inside === undefined) return undefined;
  const [head = '', second = '', ...rest] = inside.split('/');
  if (second === '') {
    if (head === 'main.ts') return { layer: 'main', unit: head };
    if (head === 'app.ts') return { layer: 'app', unit: head };
    if (head === 'app-router.ts') return { layer: 'app-router', unit: head };
    return { layer: 'unknown', unit: head };
  }
  const unit = `${head}/${second}`;
  if (head === 'features' && rest.length > 0) {
    const name = rest.at(-1) ?? '';
    if (name.endsWith('-router.ts')) return { layer: 'router', unit };
    if (name.endsWith('-store.ts')) return { layer: 'store', unit };
    return { layer: 'operation', unit };
  }
  if (head === 'clients') return { layer: 'clients', unit };
  for (const layer of ['commands', 'transports', 'db', 'trpc', 'config', 'platform'] as const) {
    if (head === layer) return { layer, unit: layer };
  }
  return { layer: 'unknown', unit: head };
}

export interface Import {
  /** The file that imports. */
  readonly from: string;
  /** A path for what lies in the workspace, the bare specifier for a package. */
  readonly to: string;
  /** Only types are taken: nothing of the target runs. */
  readonly typeOnly: boolean;
}

function packageName(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

/** The package's folder under the workspace for a path, e.g. `packages/server`. */
function home(path: string): string | undefined {
  return /^(packages|apps|examples)\/[^/]+/.exec(path)?.[0];
}

function withinServer(source: ServerFile, target: ServerFile, typeOnly: boolean): string | undefined {
  const name = `${source.layer} (${source.unit})`;
  if (target.layer === 'unknown') return undefined;
  const foreign =
    source.unit !== target.unit && source.unit.startsWith('features/') && target.unit.startsWith('features/');
  if (foreign) {
    if (target.layer === 'store') return 'a feature never imports the store of another';
    if (target.layer === 'router') return 'a feature never imports the router of another';
    const [feature = '', other = ''] = [source.unit, target.unit].map((unit) => unit.slice('features/'.length));
    if (foreignFeatures[feature]?.(other) === false) return `the feature ${feature} must not know the feature ${other}`;
    return mayImport[source.layer].includes(target.layer) || source.layer === target.layer
      ? undefined
      : wrongWay(name, target);
  }
  if (source.layer === target.layer || mayImport[source.layer].includes(target.layer)) return undefined;
  if (target.layer === 'config' && typeOnly) return undefined;
  return wrongWay(name, target);
}

function wrongWay(name: string, target: ServerFile): string {
  return `${name} must not import from ${target.layer} (${target.unit})`;
}

/** Why the import is against the rules; undefined when it is not. Tests, scripts and specs may import anything. */
export function forbidden({ from, to, typeOnly }: Import): string | undefined {
  const sourceHome = home(from);
  if (sourceHome === undefined || !from.startsWith(`${sourceHome}/src/`) || sourceHome === 'apps/e2e') return undefined;
  const targetHome = home(to);
  if (targetHome !== undefined && targetHome !== sourceHome) {
    return `${sourceHome} reaches into ${targetHome} by a path; import the package by its name`;
  }
  if (targetHome === undefined) return forbiddenPackage(sourceHome, from, packageName(to));
  const source = serverFile(from);
  const target = serverFile(to);
  return source === undefined || target === undefined ? undefined : withinServer(source, target, typeOnly);
}

function forbiddenPackage(sourceHome: string, from: string, name: string): string | undefined {
  if (sourceHome === 'packages/shared') return name === 'zod' ? undefined : 'shared depends on zod alone';
  if (sourceHome === 'packages/server') {
    const layer = serverFile(from)?.layer ?? 'unknown';
    if (name === '@chat-service/client-sdk') return 'the server knows no client';
    if (name.startsWith('@trpc/') && !speaksTrpc.includes(layer)) return `${layer} does not speak tRPC`;
    return undefined;
  }
  return name === '@chat-service/server' ? 'what runs at the client imports no server code' : undefined;
}

/** Whether `name`, imported as a value from `to`, builds a part of the service outside the composition root. */
export function constructsElsewhere({ from, to, typeOnly }: Import, name: string): boolean {
  const source = serverFile(from);
  const target = serverFile(to);
  if (typeOnly || source === undefined || target === undefined) return false;
  if (['main', 'commands', 'app', 'app-router'].includes(source.layer)) return false;
  if (['platform', 'trpc', 'config', 'unknown'].includes(target.layer) || source.unit === target.unit) return false;
  return /^(create|connect|open)[A-Z]/.test(name);
}
