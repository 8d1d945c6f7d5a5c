import { pino } from 'pino';
import { migrate } from '../../src/db/migrate.ts';

// A process of its own that migrates the database named by its argument.
const [url = ''] = process.argv.slice(2);
await migrate(url, { logger: pino({ level: 'silent' }) });
