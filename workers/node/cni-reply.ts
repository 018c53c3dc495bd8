import { type CniInterface, type CniResult, type CniVersion, isCniVersion } from '../../contracts/cni.ts';
import { renderResult } from '../../contracts/cni-result.ts';
import { type Failure, failures } from '../../contracts/failures.ts';
import type { ReplyFrame } from '../../contracts/frame.ts';

const utf8 = new TextEncoder();

export const emptyReply: ReplyFrame = { exitCode: 0, stdout: new Uint8Array(0) };

export const resultReply = (result: CniResult, cniVersion: CniVersion): ReplyFrame => ({
  exitCode: 0,
  stdout: utf8.encode(`${JSON.stringify(renderResult(result, cniVersion))}\n`),
});

/** What earlier plugins of a chain have made, as they said it; of the pod's interfaces that changed since, with the MAC of now. */
export const passedOnReply = (prevResult: object, { interfaces }: CniResult, cniVersion: CniVersion): ReplyFrame => {
  const { interfaces: links } = prevResult as { readonly interfaces?: unknown };
  const asNow = (link: Partial<CniInterface> | null): unknown => {
    const now = interfaces.find(({ name, sandbox }) => name === link?.name && sandbox === link.sandbox);
    return now === undefined ? link : { ...link, ...now };
  };
  const changed = Array.isArray(links) ? { interfaces: links.map(asNow) } : {};
  return { exitCode: 0, stdout: utf8.encode(`${JSON.stringify({ cniVersion, ...prevResult, ...changed })}\n`) };
};

/** A failure as the runtime reads it: `msg` becomes the pod's event, `details` says what to do. CNI spec 1.1.0, "Error". */
export const failureReply = ({ type, message, remedy }: Failure, cniVersion: CniVersion): ReplyFrame => ({
  exitCode: 1,
  stdout: utf8.encode(
    `${JSON.stringify({
      cniVersion,
      code: failures[type].cniCode,
      msg: remedy === undefined ? message : `${message}. ${remedy}`,
      details: type,
    })}\n`,
  ),
});

/** The version in which to answer a request that may be anything. */
export function versionOf(stdin: Uint8Array): CniVersion {
  try {
    const { cniVersion } = JSON.parse(new TextDecoder().decode(stdin)) as { cniVersion?: unknown };
    if (isCniVersion(cniVersion)) return cniVersion;
  } catch {
    // no JSON, or null: the caller is answered as the CNI executable does
  }
  return '1.1.0';
}
