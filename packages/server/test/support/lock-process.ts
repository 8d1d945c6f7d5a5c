import { systemClock } from '../../src/platform/clock.ts';
import { acquireProcessLock } from '../../src/db/sqlite/process-lock.ts';

// A process of its own that takes the lock of the file named by its argument, says so, and keeps it until it is killed.
const [file = ''] = process.argv.slice(2);
await acquireProcessLock(file, { waitMilliseconds: 0, clock: systemClock, processId: process.pid });
process.stdout.write('locked\n');
setInterval(() => {}, 2 ** 30);
