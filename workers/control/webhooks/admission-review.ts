import { isObject, type JsonObject, type PatchStep } from './json-patch.ts';
import type { Operation } from './webhook-configurations.ts';

/** What the API server asks (Kubernetes, admission.k8s.io/v1), as far as we look at it. */
export interface AdmissionRequest {
  /** Names the question; the answer carries it. */
  readonly uid: string;
  /** Kind of the object, in lower case. */
  readonly kind: string;
  readonly operation: Operation;
  readonly isDryRun: boolean;
  /** Who asks for the change. */
  readonly user: string;
  /** Empty for a deletion. */
  readonly object: JsonObject;
  /** Empty for a creation. */
  readonly oldObject: JsonObject;
}

/** The question is malformed: nobody who follows the API sends that. */
export class MalformedReview extends Error {
  override readonly name = 'MalformedReview';
}

const operations: readonly Operation[] = ['CREATE', 'UPDATE', 'DELETE'];
const nothing: JsonObject = {};

/**
 * Reads an AdmissionReview. Whoever reaches the port can send anything, so every field is looked at before it is believed; the
 * objects themselves stay untyped. Throws `MalformedReview`.
 */
export function parseReview(body: Uint8Array): AdmissionRequest {
  const review = parseJson(body);
  if (review['kind'] !== 'AdmissionReview' || review['apiVersion'] !== 'admission.k8s.io/v1') {
    throw new MalformedReview('the body is no AdmissionReview of admission.k8s.io/v1');
  }
  const request = objectIn(review, 'request');
  const uid = textIn(request, 'request.uid', 'uid', 128);
  const kind = textIn(objectIn(request, 'kind'), 'request.kind.kind', 'kind', 128).toLowerCase();
  const operation = operations.find((known) => known === request['operation']);
  if (operation === undefined) throw new MalformedReview('request.operation is not CREATE, UPDATE or DELETE');
  const { username } = isObject(request['userInfo']) ? request['userInfo'] : nothing;
  return {
    uid,
    kind,
    operation,
    isDryRun: request['dryRun'] === true,
    user: typeof username === 'string' ? username : '',
    object: operation === 'DELETE' ? nothing : objectIn(request, 'object'),
    oldObject: operation === 'CREATE' ? nothing : objectIn(request, 'oldObject'),
  };
}

/** What is answered: an object that may pass, perhaps changed, or why not. */
export type Answer =
  | { readonly allowed: true; readonly warnings: readonly string[]; readonly patch: readonly PatchStep[] }
  | { readonly allowed: false; readonly status: number; readonly message: string };

const reasons: Readonly<Record<number, string>> = { 403: 'Forbidden', 409: 'Conflict', 422: 'Invalid' };
/** The API server cuts longer warnings off, and drops those after 4,096 characters. */
const longestWarning = 256;

/** The AdmissionReview that carries an answer. */
export function reviewOf(uid: string, answer: Answer): object {
  const response = answer.allowed
    ? {
        uid,
        allowed: true,
        ...(answer.warnings.length > 0 && { warnings: answer.warnings.map((text) => text.slice(0, longestWarning)) }),
        ...(answer.patch.length > 0 && {
          patchType: 'JSONPatch',
          patch: Buffer.from(JSON.stringify(answer.patch)).toString('base64'),
        }),
      }
    : {
        uid,
        allowed: false,
        status: {
          code: answer.status,
          reason: reasons[answer.status] ?? 'InternalError',
          message: answer.message,
        },
      };
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response };
}

function parseJson(body: Uint8Array): JsonObject {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new MalformedReview('the body is no JSON');
  }
  if (!isObject(json)) throw new MalformedReview('the body is no JSON object');
  return json;
}

function objectIn(parent: JsonObject, key: string): JsonObject {
  const value = parent[key];
  if (!isObject(value)) throw new MalformedReview(`"${key}" is no object`);
  return value;
}

function textIn(parent: JsonObject, name: string, key: string, longest: number): string {
  const value = parent[key];
  if (typeof value === 'string' && value !== '' && value.length <= longest) return value;
  throw new MalformedReview(`"${name}" is no text of 1 to ${longest} characters`);
}
