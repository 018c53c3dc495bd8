import { arrayFromPayloads, DefaultFailureConverter, defaultPayloadConverter } from '@temporalio/common';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import type { Failure } from '../contracts/failures.ts';
import type { AddRequest, DetachRequest } from '../contracts/pod-network.ts';
import { fromTemporal } from '../temporal-config/failure-conversion.ts';

/** A run's history as what happened to a pod's network, in order. Times are Unix milliseconds with fractions. */
export interface RunHistory {
  readonly first: AddRequest;
  readonly startedAtMs: number;
  readonly events: readonly RunEvent[];
  /** Work waits for the node's worker since then. */
  readonly waitingSinceMs?: number;
}

export type RunEvent = CallEvent | AnswerEvent | StepEvent | StallEvent | CancelEvent | CloseEvent;

/** An ADD or DEL reached the run. */
export type CallEvent =
  | { readonly kind: 'add'; readonly id: string; readonly atMs: number; readonly request: AddRequest }
  | { readonly kind: 'detach'; readonly id: string; readonly atMs: number; readonly request: DetachRequest };

/** The run's answer to the update that brought a call; the first ADD has none. */
export interface AnswerEvent {
  readonly kind: 'answer';
  /** `id` of the call. */
  readonly to: string;
  readonly atMs: number;
  readonly failure?: Failure;
}

/** A local activity came to an end, all its attempts together. */
export interface StepEvent {
  readonly kind: 'step';
  /** Name of the activity. */
  readonly name: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** What the last attempt took. */
  readonly lastAttemptMs: number;
  readonly attempts: number;
  readonly result?: unknown;
  /** Why the last attempt failed. */
  readonly failure?: Failure;
  /** Why an earlier attempt failed, as far as the history says: only those before a server timer are in it. */
  readonly retriedAfter?: Failure;
  /** It failed and will be tried again. */
  readonly isRetrying: boolean;
}

/** The node's worker took up the run and did not bring it forward: it was killed, or its code cannot replay this run. */
export interface StallEvent {
  readonly kind: 'stall';
  readonly atMs: number;
  readonly why: string;
}

export interface CancelEvent {
  readonly kind: 'cancel-requested';
  readonly atMs: number;
}

export interface CloseEvent {
  readonly kind: 'closed';
  readonly atMs: number;
  readonly how: 'Completed' | 'Failed' | 'Terminated' | 'Cancelled' | 'TimedOut';
  readonly failure?: Failure;
  /** What whoever terminated it said. */
  readonly reason?: string;
}

type HistoryEvent = NonNullable<History['events']>[number];
type Payload = Parameters<typeof defaultPayloadConverter.fromPayload>[0];
type ProtoTimestamp = HistoryEvent['eventTime'];

/**
 * Reads the history of a `podNetwork` run. Throws when it is none.
 *
 * A local activity leaves one marker, "core_local_activity", when it ends or goes to wait for a server timer (sdk-core,
 * external_data.proto): `original_schedule_time` is the node's wall clock and common to all attempts; `complete_time` counts
 * from the start of the workflow task and adds up run times, so the distance to the one before is what this attempt took.
 */
export function readRunHistory(history: History): RunHistory {
  const events: RunEvent[] = [];
  let first: { request: AddRequest; atMs: number } | undefined;
  let waitingSinceMs: number | undefined;
  let workflowTimeMs = 0;

  for (const event of history.events ?? []) {
    const atMs = toMs(event.eventTime);
    const started = event.workflowExecutionStartedEventAttributes;
    const accepted = event.workflowExecutionUpdateAcceptedEventAttributes;
    const updated = event.workflowExecutionUpdateCompletedEventAttributes;
    const marker = event.markerRecordedEventAttributes;
    const closed = closeOf(event, atMs);
    if (started) {
      const request = firstOf(started.input?.payloads) as AddRequest;
      first = { request, atMs };
      events.push({ kind: 'add', id: firstCallID, atMs, request });
    } else if (event.workflowTaskScheduledEventAttributes) {
      waitingSinceMs = atMs;
    } else if (event.workflowTaskStartedEventAttributes) {
      waitingSinceMs = undefined;
      workflowTimeMs = atMs;
    } else if (event.workflowTaskTimedOutEventAttributes) {
      events.push({ kind: 'stall', atMs, why: 'the node worker took up the run and was not heard of again in time' });
    } else if (event.workflowTaskFailedEventAttributes?.failure) {
      const { message } = failureOf(event.workflowTaskFailedEventAttributes.failure);
      events.push({ kind: 'stall', atMs, why: `the node worker cannot go on with the run: ${message}` });
    } else if (accepted) {
      events.push(callOf(String(event.eventId), accepted.acceptedRequest?.input ?? {}, atMs));
    } else if (updated) {
      const failure = updated.outcome?.failure;
      events.push({
        kind: 'answer',
        to: String(updated.acceptedEventId),
        atMs,
        ...(failure ? { failure: failureOf(failure) } : {}),
      });
    } else if (marker?.markerName === 'core_local_activity') {
      const data = firstOf(marker.details?.['data']?.payloads) as MarkerData;
      const completeMs = toMs(data.complete_time);
      const lastAttemptMs = Math.max(0, completeMs - workflowTimeMs);
      workflowTimeMs = Math.max(workflowTimeMs, completeMs);
      addAttempts(events, toStep(data, marker, lastAttemptMs, atMs));
    } else if (event.workflowExecutionCancelRequestedEventAttributes) {
      events.push({ kind: 'cancel-requested', atMs });
    } else if (closed) {
      events.push(closed);
      waitingSinceMs = undefined;
    }
  }
  if (first?.request?.attachment === undefined)
    throw new Error('The history does not begin with the request of an ADD');
  return {
    first: first.request,
    startedAtMs: first.atMs,
    events: events.map(endedBeforeNext),
    ...(waitingSinceMs === undefined ? {} : { waitingSinceMs }),
  };
}

/** `id` of the ADD that started the run. */
export const firstCallID = 'start';

/** What the core of the SDK writes as "data", JSON in the spelling of its proto. */
interface MarkerData {
  readonly attempt: number;
  readonly activity_type: string;
  readonly complete_time: { readonly seconds: number; readonly nanos: number };
  readonly original_schedule_time: { readonly seconds: number; readonly nanos: number };
  /** The next attempt comes after this. */
  readonly backoff: object | null;
}

type Marker = NonNullable<HistoryEvent['markerRecordedEventAttributes']>;

function toStep(
  data: MarkerData,
  { details, failure }: Marker,
  lastAttemptMs: number,
  recordedAtMs: number,
): StepEvent {
  const startedAtMs = toMs(data.original_schedule_time);
  const result: unknown = firstOf(details?.['result']?.payloads);
  return {
    kind: 'step',
    name: data.activity_type,
    startedAtMs,
    lastAttemptMs,
    attempts: data.attempt,
    // Waiting between attempts is in no run time, so the record of the last one is the best there is.
    endedAtMs: data.attempt === 1 ? startedAtMs + lastAttemptMs : recordedAtMs,
    ...(result == null ? {} : { result }),
    ...(failure ? { failure: failureOf(failure) } : {}),
    isRetrying: data.backoff !== null,
  };
}

/** The record of repeated attempts may come long after their end, together with what followed them. */
function endedBeforeNext(event: RunEvent, index: number, events: readonly RunEvent[]): RunEvent {
  if (event.kind !== 'step' || event.attempts === 1) return event;
  const next = events.slice(index + 1).find((later) => later.kind === 'step');
  return { ...event, endedAtMs: Math.min(event.endedAtMs, next?.startedAtMs ?? event.endedAtMs) };
}

/** Attempts before and after a server timer are two markers of one step. */
function addAttempts(events: RunEvent[], step: StepEvent): void {
  const earlier = events.findLastIndex(
    (event) =>
      event.kind === 'step' && event.isRetrying && event.name === step.name && event.startedAtMs === step.startedAtMs,
  );
  const before = events[earlier];
  if (before?.kind !== 'step') events.push(step);
  else events[earlier] = { ...step, ...(before.failure === undefined ? {} : { retriedAfter: before.failure }) };
}

function callOf(
  id: string,
  input: { name?: string | null; args?: { payloads?: Payload[] | null } | null },
  atMs: number,
): CallEvent {
  const request = firstOf(input.args?.payloads);
  return input.name === 'detach'
    ? { kind: 'detach', id, atMs, request: request as DetachRequest }
    : { kind: 'add', id, atMs, request: request as AddRequest };
}

function closeOf(event: HistoryEvent, atMs: number): CloseEvent | undefined {
  const failed = event.workflowExecutionFailedEventAttributes;
  const terminated = event.workflowExecutionTerminatedEventAttributes;
  if (event.workflowExecutionCompletedEventAttributes) return { kind: 'closed', atMs, how: 'Completed' };
  if (failed)
    return { kind: 'closed', atMs, how: 'Failed', ...(failed.failure ? { failure: failureOf(failed.failure) } : {}) };
  if (terminated)
    return { kind: 'closed', atMs, how: 'Terminated', ...(terminated.reason ? { reason: terminated.reason } : {}) };
  if (event.workflowExecutionCanceledEventAttributes) return { kind: 'closed', atMs, how: 'Cancelled' };
  if (event.workflowExecutionTimedOutEventAttributes) return { kind: 'closed', atMs, how: 'TimedOut' };
  return undefined;
}

const failureConverter = new DefaultFailureConverter();

const failureOf = (failure: NonNullable<Marker['failure']>): Failure =>
  fromTemporal(failureConverter.failureToError(failure, defaultPayloadConverter));

const firstOf = (payloads: Payload[] | null | undefined): unknown =>
  arrayFromPayloads(defaultPayloadConverter, payloads)[0];

/** To the microsecond, which is what a double still tells apart today. `seconds` is a Long in some decoders. */
const toMs = (time: ProtoTimestamp | MarkerData['complete_time']): number =>
  Math.round(Number(String(time?.seconds ?? 0)) * 1e6 + (time?.nanos ?? 0) / 1e3) / 1e3;
