import { createServer } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runBin, startBin, temporaryDirectory } from './run-bin.ts';

const secret = 'a secret of thirty-two bytes or more';

function found(text: string, pattern: RegExp): string {
  const value = pattern.exec(text)?.[1];
  if (value === undefined) throw new Error(`${pattern} is not in: ${text}`);
  return value;
}

function jsonLines(text: string): unknown[] {
  return text
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
}

describe('serve', () => {
  it('prints what works as it stands, keeps the log apart, and leaves with 0 on SIGTERM', async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, 'package.json'), JSON.stringify({ scripts: { chat: 'true', watch: 'true' } }));
    const bin = startBin(['serve'], { cwd: directory.path, env: { PORT: '0', STREAM_BUFER_SECONDS: '1' } });
    const printed = await bin.says('Ctrl-C');
    const health = await fetch(found(printed, /curl (\S+)/u));
    expect(health.status).toBe(200);
    const url = found(printed, /listening on (\S+)/u);
    const token = found(printed, /^ {2}(eyJ\S+)$/mu);
    expect(printed).toContain(`npm run chat -- --url ${url} --token ${token}\n`);
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${url}/trpc/system.version`, { headers })).status).toBe(200);
    const watch = found(printed, /npm run watch -- --url \S+ --token (\S+)$/mu);
    const supervisor = { headers: { authorization: `Bearer ${watch}` } };
    expect((await fetch(`${url}/api/chat/live`, { headers })).status).toBe(403);
    expect((await fetch(`${url}/api/chat/live`, supervisor)).status).toBe(200);
    bin.kill('SIGTERM');
    const { code, stdout, stderr } = await bin.result;
    expect(code).toBe(0);
    expect(stdout).toBe(printed);
    expect(jsonLines(stderr)).toContainEqual(
      expect.objectContaining({ level: 'warn', msg: expect.stringContaining('STREAM_BUFFER_SECONDS') }),
    );
    expect(stderr).not.toContain(token);
    expect(stderr).not.toContain(watch);
  });

  it('prints a command to watch that works where a reason is required', async () => {
    await using directory = await temporaryDirectory();
    await writeFile(join(directory.path, 'package.json'), JSON.stringify({ scripts: { watch: 'true' } }));
    const env = { PORT: '0', SUPERVISION_REQUIRE_REASON: 'true' };
    const bin = startBin(['serve'], { cwd: directory.path, env });
    expect(await bin.says('Ctrl-C')).toMatch(/npm run watch -- --url \S+ --token \S+ --reason "[^"]+"$/mu);
    bin.kill('SIGTERM');
    expect((await bin.result).code).toBe(0);
  });

  it('logs to standard output in production, and nothing else', async () => {
    await using directory = await temporaryDirectory();
    const env = { PORT: '0', NODE_ENV: 'production', AUTH_JWT_SECRET: secret };
    const bin = startBin(['serve'], { cwd: directory.path, env });
    await bin.says('"listening"');
    bin.kill('SIGINT');
    const { code, stdout, stderr } = await bin.result;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(jsonLines(stdout)).toContainEqual(expect.objectContaining({ msg: 'stopped', clean: true }));
  });

  it('leaves although its log has lost its reader', async () => {
    await using directory = await temporaryDirectory();
    const env = { PORT: '0', NODE_ENV: 'production', AUTH_JWT_SECRET: secret };
    const bin = startBin(['serve'], { cwd: directory.path, env });
    await bin.says('"listening"');
    bin.stopReading();
    bin.kill('SIGTERM');
    expect((await bin.result).code).toBe(0);
  });

  it('says in words why it cannot start', async () => {
    await using directory = await temporaryDirectory();
    const taken = createServer();
    await new Promise<void>((resolve) => void taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    const PORT = String(typeof address === 'object' ? address?.port : address);
    const { code, stdout, stderr } = await runBin(['serve'], { cwd: directory.path, env: { PORT } });
    taken.close();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`chat-service: could not start: port ${PORT} of 127.0.0.1 is in use`);
  });
});
