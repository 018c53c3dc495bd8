import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { imageLayout, writeImageArchive } from './oci-image.ts';

const image = { reference: 'kube.local/pause:1', command: ['/pause'], architecture: 'amd64' };

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

describe('the layout of an image', () => {
  const layout = imageLayout(image, Buffer.from('a layer'));
  const read = (path: string): unknown => JSON.parse(String(layout.get(path)));
  const blob = ({ digest, size }: Descriptor): string => {
    const content = layout.get(`blobs/${digest.replace(':', '/')}`);
    expect(content?.length).toBe(size);
    return String(content);
  };
  const index = read('index.json') as { manifests: Descriptor[] };

  it('names every blob by the SHA-256 of its content', () => {
    const blobs = [...layout].filter(([path]) => path.startsWith('blobs/'));
    expect(blobs).toHaveLength(3);
    for (const [path, content] of blobs) {
      expect(path).toBe(`blobs/sha256/${createHash('sha256').update(content).digest('hex')}`);
    }
  });

  it('leads from the index over the manifest to the layer and the command', () => {
    const [entry] = index.manifests;
    const manifest = JSON.parse(blob(entry as Descriptor)) as { config: Descriptor; layers: Descriptor[] };
    expect(manifest.layers.map(blob)).toEqual(['a layer']);
    expect(JSON.parse(blob(manifest.config))).toMatchObject({
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: ['/pause'] },
      rootfs: { type: 'layers', diff_ids: [manifest.layers[0]?.digest] },
    });
  });

  it('carries the name under which containerd imports it', () => {
    expect(index.manifests[0]).toMatchObject({
      annotations: { 'io.containerd.image.name': 'kube.local/pause:1', 'org.opencontainers.image.ref.name': '1' },
      platform: { architecture: 'amd64', os: 'linux' },
    });
    expect(read('oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
  });
});

describe('an image archive', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-image-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is the same to the byte for the same files, whenever they were written', async () => {
    const rootfs = join(folder, 'rootfs');
    await mkdir(rootfs);
    await writeFile(join(rootfs, 'pause'), 'a program');
    await writeImageArchive(image, rootfs, join(folder, 'first.tar'));
    await utimes(join(rootfs, 'pause'), 1, 1);
    await writeImageArchive(image, rootfs, join(folder, 'second.tar'));
    const [first, second] = await Promise.all(['first.tar', 'second.tar'].map((file) => readFile(join(folder, file))));
    expect(first?.includes('a program')).toBe(true);
    expect(second?.equals(first ?? Buffer.of())).toBe(true);
  });
});
