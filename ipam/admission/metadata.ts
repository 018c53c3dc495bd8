import type { Labels } from '../pool-request.ts';
import { asList, asObject, asText, type JsonObject } from './json-object.ts';

/** Finalizer of pools and SpiderSubnets: Spiderpool's, so that the objects of a cluster that moves over keep theirs. */
export const finalizer = 'spiderpool.spidernet.io';

/** What the rules look at in an object's metadata. */
export interface Metadata {
  /** With generateName, what is known of it. */
  readonly name: string;
  readonly isTerminating: boolean;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly finalizers: readonly string[];
  readonly owners: readonly JsonObject[];
}

export function readMetadata(object: unknown): Metadata {
  const metadata = asObject(asObject(object)['metadata']);
  return {
    name: asText(metadata['name']) || asText(metadata['generateName']),
    isTerminating: metadata['deletionTimestamp'] != null,
    labels: textsIn(metadata['labels']),
    annotations: textsIn(metadata['annotations']),
    finalizers: asList(metadata['finalizers']).map(asText),
    owners: asList(metadata['ownerReferences']).map(asObject),
  };
}

const textsIn = (value: unknown): Labels =>
  Object.fromEntries(Object.entries(asObject(value)).map(([key, text]) => [key, asText(text)]));

/** The owner that Kubernetes calls the controller; an object has at most one. */
export const controllerOf = ({ owners }: Metadata): JsonObject | undefined =>
  owners.find((owner) => owner['controller'] === true);
