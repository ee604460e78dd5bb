/** Port: figures for operators. Label sets are small and fixed; never run ids or keys. Must not throw. */
export type Labels = Readonly<Record<string, string>>;

export interface Meter {
  /** Adds to a counter. Names follow Prometheus: `eddy_..._total`. */
  count(name: string, by: number, labels?: Labels): void;
  /** Records a value in a histogram, in base units (seconds, bytes). */
  observe(name: string, value: number, labels?: Labels): void;
  gauge(name: string, value: number, labels?: Labels): void;
}

export const NO_METER: Meter = { count: () => undefined, observe: () => undefined, gauge: () => undefined };
