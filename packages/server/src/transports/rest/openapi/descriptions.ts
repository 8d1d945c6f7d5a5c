import type { RestDeclaration } from '../../../trpc/rest-declaration.ts';

/** What the document says about itself. */
export const introduction = `Chat sessions with language models: answers stream as they are written, are stored as they end, and can be
followed or resumed from any event.

Send a token of your Auth Service as \`Authorization: Bearer <JWT>\`. Bodies and answers are JSON objects. Ids are UUIDs of
version 7, times ISO 8601 in UTC with milliseconds, text is counted in Unicode code points. Unknown fields of a body are
refused, unknown query parameters ignored; answers may gain fields, events and error codes, so ignore what you do not know.

Errors are problem details (RFC 9457): programs go by \`code\`. A request that was sent under an \`Idempotency-Key\` can be
repeated at will and runs once.`;

export const tagDescriptions: Readonly<Record<RestDeclaration['tag'], string>> = {
  Sessions: 'Conversations: their titles, settings and metadata.',
  Messages: 'Sending, streaming, following, stopping and reading answers.',
  Models: 'Models that can answer, with prices and limits.',
  Account: "The caller's credits, quotas and limits.",
  Supervision: 'For supervisors and admins: watching live, looking back, and the record of every look.',
  System: 'Health, version and this document.',
};

const sendBody = {
  message: 'The text to append and answer. Left out: the newest user message is answered, if it is unanswered.',
  modelId: "The model to answer with. Default: the session's.",
  parameters: "Override the session's parameters key by key.",
};

const parameters = {
  temperature: 'How freely the model chooses its words.',
  topP: 'The share of probability that the model chooses from.',
  maxTokens: "Most tokens of one answer; the model's own limit bounds it further.",
};

const streamId = 'The generation: the id of the message that it writes.';

const type = 'The SSE event name too.';

const health = {
  status: '`degraded`: it serves, with something that it depends on away.',
  version: 'Version of the service.',
  timestamp: 'When this was said.',
  checks: 'What the service depends on, by name.',
};

/** Of components and of their properties, by name: `Message`, and `Message.error.code` below it. */
export const schemaDescriptions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Capability: { '': 'What a model can be used for.' },
  FinishReason: { '': 'Why an answer ended.' },
  Metadata: { '': "Pairs of the client's own." },
  Parameters: { '': "How the model is asked to write; what is left out is the provider's default.", ...parameters },
  ParametersInput: {
    '': "How the model is asked to write; what is left out is the provider's default.",
    ...parameters,
  },
  Session: {
    '': 'A conversation.',
    id: 'Id of the session.',
    userId: 'Whose it is: the `sub` of their token.',
    title: 'Null until the first user message, whose first words it then becomes.',
    modelId: 'The model that answers where a message names no other.',
    source: 'Which client the session came from.',
    systemPrompt: 'What the model is told before the conversation.',
    parameters: 'Of every answer that does not override them.',
    metadata: "The client's own pairs.",
    status: '`streaming` while an answer is being written.',
    activeStreamId: 'The generation that is running, to be followed; null while `idle`.',
    messageCount: 'Messages in the session, one that is being written included.',
    lastMessageAt: 'When the last message was added.',
    temporary: 'Whether it is unlisted and removed some hours after its last activity.',
    observers: 'Supervisors who are watching, where the operator shows it.',
    createdAt: 'When it was opened.',
    updatedAt: 'When it last changed.',
  },
  Message: {
    '': 'A message of the user, or an answer.',
    id: "Id of the message; of an answer its generation's `streamId` too.",
    sessionId: 'The session that it is in.',
    role: 'Who wrote it.',
    content: 'Its text; while it is streaming as of at most a second ago.',
    status: 'Messages of the user are `complete`.',
    modelId: 'The model that answered; null on messages of the user.',
    fallbackFrom: 'The model that was asked for, where another one answered in its place.',
    stoppedBy: 'Who stopped the answer.',
    usage: 'Null on messages of the user, and while streaming.',
    finishReason: 'Null on messages of the user, and where the answer did not end by itself or by a stop.',
    error: 'Why the answer failed.',
    'error.code': 'As `code` of a problem.',
    createdAt: 'When it was added.',
    updatedAt: 'When it last changed.',
  },
  Usage: {
    '': 'Tokens and credits of one answer, as the service has counted them.',
    inputTokens: 'Tokens of the prompt.',
    outputTokens: 'Tokens of the answer.',
    totalTokens: 'Both together.',
    cachedInputTokens: 'Part of `inputTokens`.',
    reasoningTokens: 'Part of `outputTokens`.',
    credits: 'Credits, with at most 6 decimal places.',
    estimated: 'True where the provider told no figure in time and the tokens were counted here.',
  },
  Model: {
    '': 'A model that can answer.',
    id: 'Id of the model, for `modelId`.',
    name: 'Name for people.',
    provider: 'Who runs it.',
    description: 'What it is good for.',
    capabilities: 'What it can be used for.',
    creditCost: 'Credits per 1,000 tokens.',
    'creditCost.input': 'Of the prompt.',
    'creditCost.output': 'Of the answer.',
    maxTokens: 'Most tokens of one answer.',
    contextWindow: 'Most tokens of prompt and answer together.',
    ratings: 'From 1 to 5.',
    'ratings.speed': 'How fast it writes.',
    'ratings.quality': 'How well it writes.',
    available: 'Whether it can be used now.',
    unavailableReason: 'In words; null while it is available.',
  },
  Pagination: {
    '': 'Where a list stands.',
    page: 'The page asked for; null where none was.',
    limit: 'Most entries of one answer.',
    total: 'Entries of the whole list.',
    totalPages: 'Pages of the whole list; 0 for an empty one.',
    hasMore: 'Whether there is more behind this answer.',
    nextCursor: 'The `cursor` that goes on from here; null at the end.',
  },
  Problem: {
    type: 'A URN for the code.',
    title: "The code's meaning in words.",
    status: 'The HTTP status.',
    detail: 'What was wrong in this case.',
    code: 'What programs go by; codes may be added.',
    requestId: 'Of this request: it is in the log too, and in `X-Request-Id`.',
    errors: 'The fields, parameters or headers that do not validate.',
    retryAfter: 'Seconds after which a repeat may succeed.',
    sessionId: 'The session that this is about.',
    streamId: 'The generation that this is about.',
    userMessageId: 'The message that was to be answered.',
  },
  Health: { '': 'How the service is.', ...health },
  StartEvent: {
    '': 'First: the rows are stored, the model is about to be called.',
    type,
    streamId,
    sessionId: 'The session that it writes to.',
    userMessage: 'The message that is answered; null when it has been deleted since.',
    title: "The session's title by now.",
    modelId: 'The model asked for.',
  },
  ChunkEvent: {
    '': 'Text that follows what was sent before.',
    type,
    streamId,
    text: 'The text.',
  },
  DoneEvent: {
    '': 'Last: the answer is stored.',
    type,
    streamId,
    message: 'The answer as stored: `content` is the answer, whatever chunks were seen.',
    usage: 'What it has used.',
    finishReason: 'Why it ended.',
  },
  ErrorEvent: {
    '': 'Last: the answer failed.',
    type,
    streamId,
    error: 'Why.',
    'error.code': 'As `code` of a problem.',
    'error.message': 'In words.',
    'error.retryable': 'Whether the same request may succeed later.',
    message: 'The answer with what was written.',
  },
  ResyncEvent: {
    '': 'The position asked for can no longer be served: drop the text that was received and go on from here.',
    type,
    streamId,
    message: "`content` is the text at this event's id.",
  },
  GenerationEvent: {
    '': 'The data of one event of an answer; `type` is the SSE event name too. Types may be added: ignore what you do not know.',
  },
  SessionEvent: {
    '': 'The data of one event of a session; `type` is the SSE event name too. Types may be added: ignore what you do not know.',
  },
  HistoryStartEvent: {
    '': 'What is already there begins. Seen again, it replaces all that was seen before.',
    type,
    count: 'Messages that follow.',
    total: 'Messages that are stored.',
  },
  HistoryEndEvent: { '': 'What is already there ends: from here on an id continues without a gap.', type },
  MessageEvent: {
    '': 'A message as it is stored now.',
    type,
    message: 'To be put in the place of one with the same id.',
  },
  MessageDeletedEvent: { '': 'A message is gone.', type, messageId: 'Which one.' },
  SessionUpdatedEvent: {
    '': 'Something of the session itself has changed.',
    type,
    session: 'The session as it is now.',
  },
  SessionDeletedEvent: { '': 'Last: the session and everything in it is gone.', type, sessionId: 'Which one.' },
  CreateSessionBody: {
    title: 'Null or left out: the first words of the first user message.',
    initialMessage: 'Stored as the first user message and left unanswered.',
    modelId: "Default: the catalogue's default model.",
    source: 'Which client the session comes from. Default: `api`.',
    systemPrompt: 'What the model is told before the conversation.',
    parameters: 'Of every answer that does not override them.',
    metadata: "The client's own pairs.",
    temporary: 'Unlisted, and removed some hours after its last activity. Default: false.',
  },
  UpdateSessionBody: {
    title: 'Null returns to the automatic title.',
    modelId: "Null returns to the catalogue's default model.",
    systemPrompt: 'Null clears it.',
    parameters: 'Replaced as a whole; null clears them.',
    metadata: 'Replaced as a whole; null clears it.',
  },
  SendMessageBody: sendBody,
  StopMessageBody: {
    streamId: 'Stops that generation only; one that is over already answers with its message as it is.',
  },
  FinalizeMessageBody: {
    streamId: 'Default: the latest generation.',
    completeResponse: 'The text as the client has received it.',
    tokensUsed: 'As the client has counted; it changes nothing.',
  },
  RecommendModelBody: {
    task: 'What the model is for: only those with this capability are considered. Default: `general`.',
    priority: 'What counts most. Default: `balanced`.',
    requirements: 'What the model must have.',
    'requirements.minContextWindow': 'In tokens.',
    'requirements.capabilities': "All of them, beside the task's own.",
    sessionId: 'The conversation whose next answer the costs are estimated for, and that has to fit the model.',
  },
  CreateSessionResult: { sessionId: 'Id of the session.', session: 'The session.' },
  GetSessionResult: {
    session: 'The session.',
    messages: 'Its newest messages, oldest first.',
    pagination: '`nextCursor` leads to older messages, listed with `order=desc`.',
  },
  ListSessionsResult: {
    sessions: 'Newest activity first; temporary ones are not listed.',
    pagination: 'Where the list stands.',
  },
  UpdateSessionResult: { session: 'The session as it is now.' },
  SendMessageResult: {
    userMessage: 'The message that was answered; null when it has been deleted since.',
    message: 'The answer.',
    usage: 'What it has used.',
  },
  StartMessageResult: {
    streamId: 'The generation, to be followed or stopped: the id of the message that it writes.',
    userMessage: 'The message that is answered; null when it has been deleted since.',
  },
  StopMessageResult: { message: 'The answer with what was written.' },
  FinalizeMessageResult: {
    message: 'The answer as stored.',
    usage: 'What it has used, as the service has counted.',
    matches: "Whether the client's text equals the stored one.",
  },
  ListMessagesResult: { messages: 'In the order asked for.', pagination: 'Where the list stands.' },
  ListModelsResult: {
    models: 'Every model of the catalogue.',
    default: 'Id of the model that a session gets when none is named.',
  },
  RecommendModelResult: {
    recommended: 'The model that fits best.',
    reason: 'Why, in words.',
    estimatedCredits: 'Credits of the next answer in the session that was named; null without one.',
    alternatives: 'The other models that fit, best first.',
  },
  GetUsageResult: {
    credits: 'What can be spent now, without what is held; null where no credits are counted.',
    held: 'Reserved for answers that are being written.',
    plan: "The caller's plan.",
    quotas: 'What the plan limits by the UTC day and month; empty where nothing is limited.',
    rateLimit: 'Calls in the window that runs now.',
    'rateLimit.limit': 'Calls in a minute, over all doors.',
    'rateLimit.remaining': 'Calls that are left.',
    'rateLimit.resetsAt': 'When the window ends.',
  },
  Quota: {
    name: 'What is counted: `sessions`, `messages`, `tokens` or `compute` (seconds of generation).',
    period: 'UTC.',
    used: 'So far.',
    limit: 'At most.',
    resetsAt: 'When it starts anew.',
  },
  GetVersionResult: {
    version: 'Version of the service.',
    commit: 'The commit that it was built from, where that is known.',
    apiVersion: 'Raised when a name of this interface is removed or changed.',
  },
};

/** Of parameters, by their name in the components. */
export const parameterDescriptions: Readonly<Record<string, string>> = {
  SessionId: 'Id of the session.',
  MessageId: 'Id of the message.',
  MessageLimit: 'How many of the newest messages come along. Default: 100.',
  Page: 'Page of the list, from 1. Not together with `cursor`.',
  Limit: 'Most entries of one answer. Default: 20.',
  Cursor: 'Opaque position from `pagination.nextCursor`; valid also when its row is gone.',
  Order: 'By age: `asc`, the default, begins with the oldest.',
  StreamId: 'The generation to follow. Default: the running one, or one that has just ended.',
  IdempotencyKey: 'Names this attempt: a repeat under the same key runs nothing twice and is told the same ids.',
  LastEventId: 'Id of the last event that was seen: what comes after it is sent, and nothing is started.',
  LastEventIdQuery: 'As the header `Last-Event-ID`, for clients that cannot set one.',
};
