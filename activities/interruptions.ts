import type { Attachment } from '../contracts/attachment.ts';
import { ProvisionError } from '../contracts/failures.ts';

/** Nobody waits for this ADD any more, so it starts nothing: the runtime has given up and will send a DEL. */
export const callerGone = ({ ifName, containerID }: Attachment): ProvisionError =>
  new ProvisionError({
    type: 'CallerGone',
    message: `Did not go on attaching ${ifName} of sandbox ${containerID}: its caller is no longer connected`,
    remedy:
      'None: the runtime repeats the ADD. If it happens often, see what slows it down: orb explain pod NAMESPACE/NAME',
  });

/** The runtime wants this attachment gone while its ADD is still running. */
export const detachWanted = ({ ifName, containerID }: Attachment): ProvisionError =>
  new ProvisionError({
    type: 'Cancelled',
    message: `Did not go on attaching ${ifName} of sandbox ${containerID}: a DEL for it has arrived`,
  });

/** Another path of this process serves the request now; what was done belongs to it. */
export const superseded = ({ ifName, containerID }: Attachment): ProvisionError =>
  new ProvisionError({
    type: 'Superseded',
    message: `Left the attachment of ${ifName} of sandbox ${containerID} to the path that took it over`,
  });
