import { describe, expect, it } from '@jest/globals';
import { namespaceMountPoints } from './namespace-mounts.ts';

const mountinfo = `22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
140 22 0:4 net:[4026532288] /run/netns/cni-1 rw shared:9 - nsfs nsfs rw
141 22 0:4 net:[4026532288] /run/netns/cni-1 rw shared:9 - nsfs nsfs rw
142 22 0:4 net:[4026532401] /run/netns/cni-2 rw shared:9 - nsfs nsfs rw
143 22 0:4 mnt:[4026531841] /run/snapd/ns/lxd.mnt rw - nsfs nsfs rw
`;

describe('the namespaces that are mounted', () => {
  it('are those of networks, each once', () => {
    expect(namespaceMountPoints(mountinfo)).toEqual(['/run/netns/cni-1', '/run/netns/cni-2']);
  });
});
