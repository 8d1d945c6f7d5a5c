import { v7 } from 'uuid';

/** Makes the id of a new row: UUIDv7, increasing within a process also inside one millisecond. */
export type NewId = () => string;

export const newUuid: NewId = () => v7();
