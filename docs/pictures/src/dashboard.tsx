// Title, variables, rows and panels on Grafana's grid.
import { type DataFrame, LoadingState } from '@grafana/data';
import { Icon, PanelChrome, useTheme2 } from '@grafana/ui';
import { useEffect, useState } from 'react';

import { prepare } from './fields';
import { frames, type Range } from './prometheus';
import { View } from './views';

const WIDTH = 1600;
const MARGIN = 8;
const CELL = 30;

interface Props {
  board: any;
  range: Range;
  open: boolean;
}

// Rows that stay folded take their panels with them; opened ones push the rest down.
function unfolded(board: any, open: boolean): any[] {
  const all: any[] = [];
  let pushed = 0;
  for (const panel of board.panels) {
    all.push({ ...panel, gridPos: { ...panel.gridPos, y: panel.gridPos.y + pushed } });
    if (panel.type === 'row' && panel.collapsed && open) {
      const inside = panel.panels.map((p: any) => ({ ...p, gridPos: { ...p.gridPos, y: p.gridPos.y + pushed } }));
      all.push(...inside);
      const end = Math.max(...inside.map((p: any) => p.gridPos.y + p.gridPos.h));
      pushed += end - (panel.gridPos.y + pushed) - 1;
    }
  }
  return all;
}

export function Dashboard({ board, range, open }: Props) {
  const theme = useTheme2();
  const panels = unfolded(board, open);
  const [drawn, setDrawn] = useState(0);
  const wanted = panels.filter((panel) => panel.type !== 'row').length;
  useEffect(() => {
    if (drawn === wanted) {
      document.body.dataset.drawn = 'yes';
    }
  }, [drawn, wanted]);
  const bottom = Math.max(...panels.map((panel) => panel.gridPos.y + panel.gridPos.h));
  const place = ({ x, y, w, h }: any) => ({
    left: (x * (WIDTH + MARGIN)) / 24,
    top: y * (CELL + MARGIN),
    width: (w * (WIDTH + MARGIN)) / 24 - MARGIN,
    height: h * (CELL + MARGIN) - MARGIN,
  });
  return (
    <div style={{ width: WIDTH + 32, padding: 16 }} id="dashboard">
      <Header board={board} range={range} />
      <div style={{ position: 'relative', height: bottom * (CELL + MARGIN) }}>
        {panels.map((panel) => {
          const box = place(panel.gridPos);
          return (
            <div key={panel.id} style={{ position: 'absolute', ...box }}>
              {panel.type === 'row' ? (
                <div style={{ ...theme.typography.h5, display: 'flex', alignItems: 'center', gap: 6, height: box.height }}>
                  <Icon name={panel.collapsed && !open ? 'angle-right' : 'angle-down'} /> {panel.title}
                  {panel.collapsed && !open && (
                    <span style={{ color: theme.colors.text.secondary, fontSize: 12 }}>({panel.panels.length} panels)</span>
                  )}
                </div>
              ) : (
                <Panel panel={panel} range={range} width={box.width} height={box.height} done={() => setDrawn((n) => n + 1)} />
              )}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Header({ board, range }: { board: any; range: Range }) {
  const theme = useTheme2();
  const chip = (name: string, value: string) => (
    <span key={name} style={{ display: 'inline-flex', border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, fontSize: 12 }}>
      <span style={{ padding: '6px 8px', background: theme.colors.background.secondary }}>{name}</span>
      {value && <span style={{ padding: '6px 8px', color: theme.colors.text.secondary }}>{value}</span>}
    </span>
  );
  const variables = board.templating.list.filter((variable: any) => variable.hide !== 2);
  const clock = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ');
  return (
    <div style={{ marginBottom: 12 }}>
      <div style={{ display: 'flex', justifyContent: 'space-between', alignItems: 'center', marginBottom: 10 }}>
        <span style={{ ...theme.typography.h4 }}>{board.title}</span>
        {chip(`${clock(range.from)} to ${clock(range.to)} UTC`, board.refresh)}
      </div>
      <div style={{ display: 'flex', gap: 8 }}>
        {variables.map((variable: any) => chip(variable.label, variable.type === 'datasource' ? 'Prometheus' : 'All'))}
        <span style={{ flex: 1 }} />
        {board.links.map((link: any) => chip(link.title, ''))}
      </div>
    </div>
  );
}

interface PanelProps {
  panel: any;
  range: Range;
  width: number;
  height: number;
  done: () => void;
}

function Panel({ panel, range, width, height, done }: PanelProps) {
  const theme = useTheme2();
  const [data, setData] = useState<DataFrame[]>();
  const [fault, setFault] = useState<string>();
  useEffect(() => {
    const tables = panel.targets.filter((target: any) => target.format === 'table').length;
    Promise.all(panel.targets.map((target: any) => frames(target, range, tables)))
      .then((answers) => prepare(panel, answers.flat(), theme))
      .then(setData)
      .catch((error) => {
        console.error(`${panel.title}: ${error.stack ?? error}`);
        setFault(`${error}`);
      })
      .finally(() => setTimeout(done, 300));
  }, []);
  return (
    <PanelChrome title={panel.title} description={panel.description} width={width} height={height} padding={panel.type === 'stat' ? 'none' : 'md'} loadingState={LoadingState.Done}>
      {(innerWidth, innerHeight) =>
        fault ? <pre>{fault}</pre> : data ? <View panel={panel} data={data} range={range} width={innerWidth} height={innerHeight} /> : null
      }
    </PanelChrome>
  );
}
