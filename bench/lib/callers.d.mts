export interface Counts {
  answered: number
  failed: number
  lost: number
  refused: number
  slowestMs: number
  faults: string[]
}

export interface Load {
  port: number
  requests: readonly (string | Uint8Array)[]
  check(body: string, index: number): void
}

export function startCallers(
  load: Load,
  options: { connections: number },
): { counts: Counts; stop(): Promise<Counts> }
