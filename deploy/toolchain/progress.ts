/** What happens to one part. Times are whole seconds since its turn began. */
export type PartProgress =
  | { readonly state: 'cached' }
  | { readonly state: 'waiting' }
  | { readonly state: 'started'; readonly coldBuildSeconds: number }
  | { readonly state: 'building'; readonly elapsedSeconds: number }
  | { readonly state: 'built'; readonly elapsedSeconds: number };

/** The same with its place in the list: `index` of `total`, counted from 1. */
export type Progress = PartProgress & { readonly part: string; readonly index: number; readonly total: number };

export type ReportProgress = (progress: Progress) => void;

/** One line for a terminal or a log. A part that was in the cache is no news: `undefined`. */
export function formatProgress(progress: Progress): string | undefined {
  const news = newsOf(progress);
  const place = `${String(progress.index).padStart(String(progress.total).length)} of ${progress.total}`;
  return news && `[${place}] ${progress.part}: ${news}`;
}

function newsOf(progress: PartProgress): string | undefined {
  if (progress.state === 'cached') return undefined;
  if (progress.state === 'waiting') return 'another run builds it, waiting';
  if (progress.state === 'started') return `building, about ${progress.coldBuildSeconds} s the first time`;
  return progress.state === 'built' ? `built in ${progress.elapsedSeconds} s` : `${progress.elapsedSeconds} s …`;
}
