// Writes each dashboard as TypeScript that says of which type it is: tsc then finds what Grafana would not know.
// Usage: node write.mjs <folder of dashboards> <folder to write to>

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [from, to] = process.argv.slice(2);

// The kinds of panel that are in use, each with the module of its options in @grafana/schema. A table's are in
// the common types.
const kinds = {
  barchart: 'barchart/panelcfg/x/BarChartPanelCfg_types.gen',
  stat: 'stat/panelcfg/x/StatPanelCfg_types.gen',
  timeseries: 'timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen',
};

const types = `
import type { Dashboard, FieldConfig, Panel, RowPanel, TableFieldOptions, TableOptions } from '@grafana/schema';
${Object.entries(kinds)
  .map(([kind, module]) => `import type * as ${kind} from '@grafana/schema/dist/esm/raw/composable/${module}';`)
  .join('\n')}

/** T as it is in JSON: an enum's values are their texts. */
export type Json<T> = 0 extends 1 & T
  ? T
  : T extends string
    ? \`\${T}\`
    : T extends (infer U)[]
      ? Json<U>[]
      : T extends object
        ? { [K in keyof T]: Json<T[K]> }
        : T;

interface Options {
  barchart: barchart.Options;
  stat: stat.Options;
  table: TableOptions;
  timeseries: timeseries.Options;
}

interface Custom {
  barchart: barchart.FieldConfig;
  stat: never;
  table: TableFieldOptions;
  timeseries: timeseries.FieldConfig;
}

type Source<K extends keyof Options> = Required<Pick<Panel, 'title' | 'description' | 'datasource' | 'gridPos' | 'targets'>> & {
  id: number;
  type: K;
  options: Partial<Options[K]>;
  fieldConfig: {
    defaults: Omit<FieldConfig, 'custom'> & { custom?: Partial<Custom[K]> };
    overrides: NonNullable<Panel['fieldConfig']>['overrides'];
  };
};

export type Of = { [K in keyof Options]: Json<Source<K>> } & { row: Json<RowPanel> };
export type Whole = Json<Omit<Dashboard, 'panels'>>;
`;

mkdirSync(to, { recursive: true });
writeFileSync(join(to, 'types.ts'), types);
for (const file of readdirSync(from).filter((name) => name.endsWith('.json'))) {
  const { panels, ...whole } = JSON.parse(readFileSync(join(from, file), 'utf8'));
  const lines = [
    "import type { Of, Whole } from './types';",
    `export const dashboard: Whole = ${JSON.stringify(whole, null, 2)};`,
    ...panels.map(
      (panel) => `// ${file}: ${panel.title}\nexport const panel${panel.id}: Of['${panel.type}'] = ${JSON.stringify(panel, null, 2)};`,
    ),
  ];
  writeFileSync(join(to, file.replace(/\.json$/, '.ts')), `${lines.join('\n')}\n`);
}
