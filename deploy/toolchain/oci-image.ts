import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** An image of one layer, for this machine's CPU. */
export interface Image {
  /** Name and tag under which a runtime imports it, for example `kube.local/pause:1`. */
  readonly reference: string;
  readonly command: readonly string[];
  /** GOARCH: "amd64", "arm64". */
  readonly architecture: string;
}

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly content: Buffer;
}

/** The files of an OCI image layout (image-spec v1.1, image-layout.md) by path, for an image whose one layer is this tar archive. */
export function imageLayout(image: Image, layerTar: Buffer): ReadonlyMap<string, Buffer> {
  const layer = blob('application/vnd.oci.image.layer.v1.tar', layerTar);
  const platform = { architecture: image.architecture, os: 'linux' };
  const config = blob('application/vnd.oci.image.config.v1+json', {
    ...platform,
    config: { Env: ['PATH=/bin'], Cmd: image.command },
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const manifest = blob('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor(config),
    layers: [descriptor(layer)],
  });
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...descriptor(manifest),
        platform,
        annotations: {
          'io.containerd.image.name': image.reference,
          'org.opencontainers.image.ref.name': image.reference.slice(image.reference.lastIndexOf(':') + 1),
        },
      },
    ],
  };
  return new Map([
    ['oci-layout', json({ imageLayoutVersion: '1.0.0' })],
    ['index.json', json(index)],
    ...[layer, config, manifest].map(({ digest, content }) => [`blobs/${digest.replace(':', '/')}`, content] as const),
  ]);
}

/** Writes an OCI archive of the image whose file system is `rootfs`, owned by root. The same folder gives the same bytes. */
export async function writeImageArchive(image: Image, rootfs: string, archive: string): Promise<void> {
  const work = await mkdtemp(`${archive}.`);
  try {
    const layerTar = join(work, 'layer.tar');
    const layout = join(work, 'layout');
    await tar(rootfs, layerTar);
    for (const [path, content] of imageLayout(image, await readFile(layerTar))) {
      const file = join(layout, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    }
    await tar(layout, archive);
  } finally {
    await rm(work, { recursive: true });
  }
}

async function tar(folder: string, archive: string): Promise<void> {
  const reproducible = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  await run('tar', [...reproducible, '-C', folder, '-cf', archive, '.']);
}

function blob(mediaType: string, content: Buffer | object): Blob {
  const bytes = Buffer.isBuffer(content) ? content : json(content);
  return { mediaType, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, content: bytes };
}

const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
const descriptor = ({ mediaType, digest, content }: Blob) => ({ mediaType, digest, size: content.length });
