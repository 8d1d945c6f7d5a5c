/**
 * Where the properties begin to draw: every run tries the same, so that it is red only for what was changed.
 * `PROPERTY_SEED=<number>` tries something else; a failure names its seed and path.
 */
export const seed = Number(process.env['PROPERTY_SEED'] ?? 1);
