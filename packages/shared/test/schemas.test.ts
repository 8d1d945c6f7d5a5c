import { describe, expect, it } from 'vitest';
import { errorTable, fieldErrors, isErrorCode } from '../src/errors.ts';
import { idempotencyKeySchema } from '../src/idempotency.ts';
import { deleteMessageInput, followMessageInput, listMessagesInput, sendMessageInput } from '../src/message-api.ts';
import { metadataSchema, parametersSchema } from '../src/objects.ts';
import { createSessionInput, listSessionsInput } from '../src/session-api.ts';
import { auditLogInput, userSessionInput } from '../src/supervisor-api.ts';

const id = '01a202aa-68de-7660-9120-e83712bce23f';

describe('error codes', () => {
  it('have a status of their own kind, and are known by name alone', () => {
    for (const [code, { status }] of Object.entries(errorTable)) {
      expect(isErrorCode(code)).toBe(true);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(600);
    }
    expect(isErrorCode('toString')).toBe(false);
  });

  it('of unknown fields name each of them', () => {
    const { error } = sendMessageInput.safeParse({ sessionId: id, more: 1, parameters: { other: 1 } });
    expect(error === undefined ? [] : fieldErrors(error)).toEqual(
      expect.arrayContaining([
        { path: 'more', message: 'unknown field' },
        { path: 'parameters.other', message: 'unknown field' },
      ]),
    );
  });
});

describe('ids', () => {
  const capitals = id.toUpperCase();

  it('in capitals are the same in lower case, wherever they are', () => {
    expect(deleteMessageInput.parse({ sessionId: capitals, messageId: capitals })).toEqual({
      sessionId: id,
      messageId: id,
    });
    expect(listMessagesInput.parse({ sessionId: capitals })).toEqual({ sessionId: id });
    expect(followMessageInput.parse({ sessionId: id, streamId: capitals }).streamId).toBe(id);
  });

  it('of others, and keys, stay as they are, also where they look like ours', () => {
    const input = { sessionId: id, modelId: capitals, idempotencyKey: capitals };
    expect(sendMessageInput.parse(input)).toEqual(input);
    expect(userSessionInput.parse({ userId: capitals, sessionId: id }).userId).toBe(capitals);
    expect(auditLogInput.parse({ actorId: capitals, subjectId: capitals })).toEqual({
      actorId: capitals,
      subjectId: capitals,
    });
    expect(followMessageInput.parse({ sessionId: id, lastEventId: 'ABC-0' }).lastEventId).toBe('ABC-0');
  });
});

describe('inputs', () => {
  it.each([
    [{ page: 1, limit: 100 }, true],
    [{ cursor: 'x' }, true],
    [{ page: 0 }, false],
    [{ limit: 0 }, false],
    [{ limit: 101 }, false],
    [{ limit: 1.5 }, false],
    [{ page: 1, cursor: 'x' }, false],
  ])('page with %j: %s', (paging, taken) => {
    expect(listSessionsInput.safeParse(paging).success).toBe(taken);
    expect(listMessagesInput.safeParse({ sessionId: id, ...paging }).success).toBe(taken);
  });

  it.each([
    ['a', true],
    ['a b', true],
    ['x'.repeat(255), true],
    ['', false],
    ['x'.repeat(256), false],
    ['é', false],
    ['a\n', false],
  ])('take %j as an idempotency key: %s', (key, taken) => {
    expect(idempotencyKeySchema.safeParse(key).success).toBe(taken);
  });

  it('bound parameters and metadata', () => {
    expect(parametersSchema.safeParse({ temperature: 2, topP: 0, maxTokens: 1 }).success).toBe(true);
    expect(parametersSchema.safeParse({ temperature: 2.1 }).success).toBe(false);
    expect(parametersSchema.safeParse({ maxTokens: 0 }).success).toBe(false);
    const pairs = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));
    expect(metadataSchema.safeParse(pairs(16)).success).toBe(true);
    expect(metadataSchema.safeParse(pairs(17)).success).toBe(false);
    expect(metadataSchema.safeParse({ ['k'.repeat(65)]: 'v' }).success).toBe(false);
    expect(createSessionInput.safeParse({ source: 'Web' }).success).toBe(false);
  });
});
