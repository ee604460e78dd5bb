/** Port: figures for operators. Label sets are small and fixed; never run ids or keys. Must not throw. */
export type Labels = Readonly<Record<string, string>>;

export interface Meter {
  /** Adds to a counter. Names follow Prometheus: `eddy_..._total`. */
  count(name: string, by: number, labels?: Labels): void;
  /** Records a value in a histogram, in base units (seconds, bytes). */
  observe(name: string, value: number, labels?: Labels): void;
  gauge(name: string, value: number, labels?: Labels): void;
}

export interface GaugeRow {
  readonly labels?: Labels;
  readonly value: number;
}

/** Where gauges go whose labels come and go. Must not throw. */
export interface GaugeBoard {
  /** All that the gauge has from now on: what is not in `rows` is gone. */
  gauges(name: string, rows: readonly GaugeRow[]): void;
}

export const NO_METER: Meter = { count: () => undefined, observe: () => undefined, gauge: () => undefined };
