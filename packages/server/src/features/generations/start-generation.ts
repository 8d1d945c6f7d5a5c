import type { Database } from '../../db/database.ts';
import type { Logger } from '../../platform/logger.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { ReserveCredits, ReserveRequest } from '../credits/reserve-credits.ts';
import { unknownModel } from '../models/unknown-model.ts';
import type { AdmitGeneration, PreparedPrompt } from './admit-generation.ts';
import type { Claim, ClaimGeneration } from './claim-generation.ts';
import type { GenerationOwner } from './generation-owner.ts';
import type { PreparePrompt, PromptModels } from './prepare-prompt.ts';
import type { Probe } from './probe.ts';
import type { RefuseGeneration } from './refuse-generation.ts';
import type { RunGeneration } from './run-generation.ts';
import type { SendRequest } from './send-request.ts';

/** A generation that was started, or joined under its idempotency key. */
export interface StartedGeneration {
  readonly generationId: string;
  /** Known to be admitted, with this fence; null for one that was joined, which may still be refused. */
  readonly claimFence: number | null;
}

export interface StartDependencies {
  readonly claim: ClaimGeneration;
  readonly prepare: PreparePrompt;
  readonly reserve: ReserveCredits;
  readonly admit: AdmitGeneration;
  readonly refuse: RefuseGeneration;
  readonly run: RunGeneration;
  readonly owner: GenerationOwner;
  readonly models: PromptModels;
  readonly probe: Probe;
  readonly dialect: Database['dialect'];
  readonly logger: Logger;
}

/** Starts an answer, or joins the one that the same key has started. It belongs to the server from then on. */
export type StartGeneration = (request: SendRequest) => Promise<StartedGeneration>;

export function createStartGeneration(deps: StartDependencies): StartGeneration {
  const { claim: claimGeneration, prepare, reserve, admit, refuse, run, owner, models, probe, dialect, logger } = deps;

  /** Gives the claim back; where even that fails, the lease runs out and whoever meets it next does. */
  async function giveBack(claim: Claim, error: unknown, mayBeHeld: boolean): Promise<void> {
    const code = dialect.isUnavailable(error) ? 'UNAVAILABLE' : 'INTERNAL';
    const refusal = error instanceof ServiceError ? error : new ServiceError(code, { cause: error });
    try {
      const { id, fence, userId } = claim;
      await refuse({ id, fence, userId, sessionId: claim.session.id }, refusal, { mayBeHeld });
    } catch (failure) {
      logger.error({ err: failure, generationId: claim.id }, 'could not give a claim back');
    }
  }

  async function start(request: SendRequest): Promise<StartedGeneration> {
    if (request.modelId !== undefined && models.chain(request.modelId).length === 0) throw unknownModel();
    const outcome = await claimGeneration(request);
    if (outcome.kind === 'joined') return { generationId: outcome.generationId, claimFence: null };
    const { claim } = outcome;
    let mayBeHeld = false;
    try {
      const prompt = await prepare(claim, request);
      await probe('reserving', claim.id);
      const onAsk = () => {
        mayBeHeld = true;
      };
      const reservation = await reserve({ ...toReservation(claim, request, prompt), onAsk });
      await probe('reserved', claim.id);
      const { maxTokens } = reservation;
      const admitted = await admit(claim, request.message, { ...prompt, maxTokens }, reservation);
      run(admitted);
      return { generationId: admitted.id, claimFence: admitted.fence };
    } catch (error) {
      await giveBack(claim, error, mayBeHeld && !isRefusedCredit(error));
      throw error;
    }
  }

  return function startGeneration(request) {
    const started = start(request);
    owner.expect(started);
    return started;
  };
}

function toReservation(
  claim: Claim,
  { plan, userToken }: SendRequest,
  prompt: PreparedPrompt,
): Omit<ReserveRequest, 'onAsk'> {
  const { id, userId, modelId, session } = claim;
  const { promptTokens, countedExactly, maxTokens, prices } = prompt;
  const whose = { usageId: id, userId, plan, userToken, sessionId: session.id, modelId };
  return { ...whose, promptTokens, countedExactly, maxTokens, prices: Object.values(prices) };
}

/** An answer that says no: then nothing is held. Without an answer something may be. */
function isRefusedCredit(error: unknown): boolean {
  return error instanceof ServiceError && (error.code === 'INSUFFICIENT_CREDITS' || error.code === 'QUOTA_EXCEEDED');
}
