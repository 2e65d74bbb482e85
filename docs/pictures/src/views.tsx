// What is inside a panel. All but the state timeline, which @grafana/ui does not export, is drawn by Grafana's own code.
import { type DataFrame, dateTime, FieldType, getDisplayProcessor, getDisplayValueAlignmentFactors, getFieldDisplayName, getFieldDisplayValues, type TimeRange, VizOrientation } from '@grafana/data';
import { BarGauge, BigValue, Table, TimeSeries, useTheme2, VizRepeater } from '@grafana/ui';

import type { Range } from './prometheus';

interface Props {
  panel: any;
  data: DataFrame[];
  range: Range;
  width: number;
  height: number;
}

function timeRange({ from, to }: Range): TimeRange {
  const raw = { from: dateTime(from * 1000), to: dateTime(to * 1000) };
  return { ...raw, raw };
}

export function View(props: Props) {
  const { panel, data } = props;
  const isFigure = panel.type === 'stat' || panel.type === 'bargauge';
  if (!isFigure && !data.some((frame) => frame.length > 0)) {
    return <Empty {...props} />;
  }
  switch (panel.type) {
    case 'stat':
    case 'bargauge':
      return <Figures {...props} />;
    case 'table':
      return <Table data={data[0]} width={props.width} height={props.height} ariaLabel={panel.title} initialSortBy={panel.options.sortBy} />;
    case 'state-timeline':
      return <Lanes {...props} />;
    default:
      return (
        <TimeSeries
          frames={data}
          structureRev={1}
          width={props.width}
          height={props.height}
          timeRange={timeRange(props.range)}
          timeZone="browser"
          legend={panel.options.legend}
          options={panel.options}
        />
      );
  }
}

function Empty({ width, height }: Props) {
  const theme = useTheme2();
  return <div style={{ width, height, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary }}>No data</div>;
}

function Figures({ panel, data, width, height }: Props) {
  const theme = useTheme2();
  const values = () =>
    getFieldDisplayValues({
      fieldConfig: panel.fieldConfig,
      reduceOptions: panel.options.reduceOptions,
      replaceVariables: (text: string) => text,
      theme,
      data,
      timeZone: 'browser',
    });
  const { options } = panel;
  const count = values().length;
  return (
    <VizRepeater
      source={data}
      getValues={values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      width={width}
      height={height}
      orientation={(options.orientation ?? 'auto') as VizOrientation}
      autoGrid={panel.type === 'stat'}
      itemSpacing={panel.type === 'stat' ? 3 : 10}
      maxVizHeight={options.maxVizHeight}
      minVizHeight={options.minVizHeight}
      renderCounter={1}
      renderValue={({ value, width, height, orientation, alignmentFactors }: any) =>
        panel.type === 'stat' ? (
          <BigValue
            value={value.display}
            width={width}
            height={height}
            theme={theme}
            count={count}
            colorMode={options.colorMode}
            graphMode={options.graphMode}
            justifyMode={options.justifyMode}
            textMode={options.textMode}
            parentOrientation={orientation}
            alignmentFactors={alignmentFactors}
            disableWideLayout={!options.wideLayout}
            text={options.text}
          />
        ) : (
          <BarGauge
            value={value.display}
            field={value.field}
            display={value.view?.getFieldDisplayProcessor(value.colIndex)}
            width={width}
            height={height}
            theme={theme}
            orientation={orientation}
            displayMode={options.displayMode}
            showUnfilled={options.showUnfilled}
            valueDisplayMode={options.valueMode}
            namePlacement={options.namePlacement}
            alignmentFactors={alignmentFactors}
            itemSpacing={10}
            text={options.text}
            lcdCellWidth={12}
          />
        )
      }
    />
  );
}

// Lanes of states in Grafana's colours: a stand-in for its state timeline.
function Lanes({ panel, data, range, width, height }: Props) {
  const theme = useTheme2();
  const axis = 22;
  const legend = 24;
  const name = 190;
  const lanes = data.flatMap((frame) => frame.fields.filter((field) => field.type === FieldType.number).map((field) => ({ field, frame })));
  const lane = (height - axis - legend) / Math.max(1, lanes.length);
  const place = (time: number) => name + ((time / 1000 - range.from) / (range.to - range.from)) * (width - name);
  const ticks = Array.from({ length: 7 }, (_, i) => range.from + ((range.to - range.from) * i) / 6);
  const states = Object.values(panel.fieldConfig.defaults.mappings[0].options) as any[];
  return (
    <div>
      <svg width={width} height={height - legend} style={{ display: 'block', fontSize: 12, fontFamily: theme.typography.fontFamily }}>
        {lanes.map(({ field, frame }, i) => {
          const display = field.display ?? getDisplayProcessor({ field, theme });
          const times = frame.fields[0].values;
          const parts: Array<{ from: number; to: number; color?: string }> = [];
          times.forEach((time: number, at: number) => {
            const value = field.values[at];
            const color = value === null ? undefined : display(value).color;
            const last = parts[parts.length - 1];
            if (last && last.color === color) {
              last.to = times[at + 1] ?? time;
            } else {
              parts.push({ from: time, to: times[at + 1] ?? time, color });
            }
          });
          return (
            <g key={i}>
              <text x={name - 10} y={i * lane + lane / 2 + 4} textAnchor="end" fill={theme.colors.text.primary}>
                {getFieldDisplayName(field, frame, data)}
              </text>
              {parts
                .filter((part) => part.color)
                .map((part) => (
                  <rect key={part.from} x={place(part.from)} width={Math.max(0, place(part.to) - place(part.from))} y={i * lane + lane * 0.1} height={lane * 0.8} fill={part.color} fillOpacity={0.85} />
                ))}
            </g>
          );
        })}
        {ticks.slice(1, 6).map((tick) => (
          <text key={tick} x={place(tick * 1000)} y={height - legend - 6} textAnchor="middle" fill={theme.colors.text.secondary}>
            {new Date(tick * 1000).toISOString().slice(11, 16)}
          </text>
        ))}
      </svg>
      <div style={{ display: 'flex', gap: 16, height: legend, fontSize: 12, alignItems: 'center' }}>
        {states.map((state) => (
          <span key={state.text}>
            <span style={{ display: 'inline-block', width: 14, height: 4, borderRadius: 2, marginRight: 6, verticalAlign: 'middle', background: theme.visualization.getColorByName(state.color) }} />
            {state.text}
          </span>
        ))}
      </div>
    </div>
  );
}
