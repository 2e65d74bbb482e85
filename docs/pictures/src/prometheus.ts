// Asks Prometheus as Grafana's data source would, and gives data frames.
import { type DataFrame, FieldType, toDataFrame } from '@grafana/data';

export interface Range {
  from: number;
  to: number;
}

interface Target {
  refId: string;
  expr: string;
  legendFormat: string;
  instant?: boolean;
  format?: string;
}

type Labels = Record<string, string>;

// Everything is chosen. The scrape interval of the demo is 5 s; four of them are what Grafana takes at least.
function interpolate(expr: string, step: number): string {
  return expr
    .replaceAll('$__rate_interval', `${Math.max(20, step * 4)}s`)
    .replace(/"\$(job|instance|account|exophone)"/g, '".+"');
}

function legend(format: string, labels: Labels): string {
  const name = format.replace(/{{\s*(\w+)\s*}}/g, (_, label) => labels[label] ?? '');
  return name.trim() || 'Value';
}

async function ask(path: string, parameters: Record<string, string>) {
  const answer = await (await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`)).json();
  if (answer.status !== 'success') {
    throw new Error(`${parameters.query}: ${answer.error}`);
  }
  return answer.data.result as Array<{ metric: Labels; value: [number, string]; values: Array<[number, string]> }>;
}

export async function frames(target: Target, range: Range, tables: number): Promise<DataFrame[]> {
  const step = Math.max(5, Math.ceil((range.to - range.from) / 500));
  const query = interpolate(target.expr, step);
  if (!target.instant) {
    const result = await ask('query_range', { query, start: `${range.from}`, end: `${range.to}`, step: `${step}` });
    return result.map(({ metric, values }) => lines(target, metric, range, step, values));
  }
  const result = await ask('query', { query, time: `${range.to}` });
  if (target.format === 'table') {
    return result.length ? [table(target, result, tables)] : [];
  }
  return result.map(({ metric, value }) => frame(target, metric, [value[0] * 1000], [Number(value[1])]));
}

function frame(target: Target, labels: Labels, times: number[], values: Array<number | null>): DataFrame {
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: times, config: {} },
      { name: 'Value', type: FieldType.number, values, labels, config: { displayNameFromDS: legend(target.legendFormat, labels) } },
    ],
  });
}

// Steps without a value are gaps, not lines across.
function lines(target: Target, labels: Labels, range: Range, step: number, values: Array<[number, string]>): DataFrame {
  const known = new Map(values.map(([time, value]) => [Math.round(time), Number(value)]));
  const times: number[] = [];
  for (let time = range.from; time <= range.to; time += step) {
    times.push(time);
  }
  const column = times.map((time) => known.get(time) ?? null).map((value) => (Number.isNaN(value) ? null : value));
  return frame(target, labels, times.map((time) => time * 1000), column);
}

function table(target: Target, result: Array<{ metric: Labels; value: [number, string] }>, tables: number): DataFrame {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: result.map(({ value }) => value[0] * 1000), config: {} },
      ...labels.map((name) => ({ name, type: FieldType.string, values: result.map(({ metric }) => metric[name] ?? ''), config: {} })),
      {
        name: tables > 1 ? `Value #${target.refId}` : 'Value',
        type: FieldType.number,
        values: result.map(({ value }) => Number(value[1])),
        config: {},
      },
    ],
  });
}
