import type { Supervised } from './supervised-world.ts';

/** Puts the audit log out of reach, so that nothing can be written to it. */
export async function withoutAuditLog({ sql }: Pick<Supervised, 'sql'>, work: () => Promise<void>): Promise<void> {
  await sql.run('alter table audit_log rename to audit_log_away');
  try {
    await work();
  } finally {
    await sql.run('alter table audit_log_away rename to audit_log');
  }
}

const refusingCommits = {
  sqlite: {
    begin: `
      create table audit_refusals (id integer references audit_refusals (missing) deferrable initially deferred, missing integer unique);
      create trigger audit_log_uncommitted after insert on audit_log begin insert into audit_refusals (id) values (1); end`,
    end: 'drop trigger audit_log_uncommitted; drop table audit_refusals',
  },
  postgres: {
    begin: `
      create function refuse_commit() returns trigger language plpgsql as $$ begin raise exception 'no commit'; end $$;
      create constraint trigger audit_log_uncommitted after insert on audit_log
        deferrable initially deferred for each row execute function refuse_commit()`,
    end: 'drop trigger audit_log_uncommitted on audit_log; drop function refuse_commit',
  },
};

/** Entries can be written to the audit log, and what they are written in cannot be committed. */
export async function withoutAuditCommits(
  { world, sql }: Pick<Supervised, 'world' | 'sql'>,
  work: () => Promise<void>,
): Promise<void> {
  const { begin, end } = refusingCommits[world.kind];
  await sql.run(begin);
  try {
    await work();
  } finally {
    await sql.run(end);
  }
}
