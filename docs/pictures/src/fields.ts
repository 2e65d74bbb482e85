// Field options and transformations, which Grafana registers when it starts and its packages leave to their user.
import {
  applyFieldOverrides,
  type DataFrame,
  FieldConfigOptionsRegistry,
  type GrafanaTheme2,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

const STANDARD = ['unit', 'decimals', 'min', 'max', 'noValue', 'displayName', 'mappings', 'thresholds', 'color', 'links'];

const CUSTOM = [
  'drawStyle', 'lineInterpolation', 'lineWidth', 'lineStyle', 'fillOpacity', 'gradientMode', 'showPoints', 'pointSize', 'spanNulls',
  'axisPlacement', 'axisBorderShow', 'axisGridShow', 'axisSoftMax', 'scaleDistribution', 'stacking', 'thresholdsStyle',
  'align', 'cellOptions', 'inspect', 'filterable', 'width', 'minWidth',
];

const item = (path: string, custom: boolean) => ({
  id: custom ? `custom.${path}` : path,
  path,
  name: path,
  isCustom: custom,
  process: (value: unknown) => value,
  shouldApply: () => true,
  override: () => null,
  editor: () => null,
});

const registry = new FieldConfigOptionsRegistry(() =>
  [...STANDARD.map((path) => item(path, false)), ...CUSTOM.map((path) => item(path, true))] as never
);

standardTransformersRegistry.setInit(
  () =>
    [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map((transformation) => ({
      id: transformation.id,
      name: transformation.name,
      description: '',
      transformation: () => Promise.resolve(transformation),
      editor: () => null,
    })) as never
);

export async function prepare(panel: any, frames: DataFrame[], theme: GrafanaTheme2): Promise<DataFrame[]> {
  const transformed = panel.transformations ? await lastValueFrom(transformDataFrame(panel.transformations, frames)) : frames;
  return applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry,
    replaceVariables: (text) => text,
    theme,
    timeZone: 'browser',
  });
}
