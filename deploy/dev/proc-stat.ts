/** The facts of /proc/<pid>/stat that tell one process from a later one with the same id. */
export interface ProcStat {
  readonly pid: number;
  readonly state: string;
  /** Clock ticks between boot and the start of the process: with the pid it names one process for ever (proc(5), field 22). */
  readonly startTicks: string;
}

/** Parses a line of /proc/<pid>/stat, or gives undefined for anything else, such as a half-written file. */
export function parseProcStat(line: string): ProcStat | undefined {
  // The name in field 2 may hold spaces and brackets itself, so the fields are counted from its last bracket on.
  const name = /^(\d+) \(.*\) (?=[A-Za-z] )/s.exec(line);
  if (name === null) return undefined;
  const fields = line.slice(name[0].length).trim().split(' ');
  const [state, startTicks] = [fields[0], fields[22 - 3]];
  if (state === undefined || startTicks === undefined || !/^\d+$/.test(startTicks)) return undefined;
  return { pid: Number(name[1]), state, startTicks };
}
