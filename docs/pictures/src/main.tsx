// One dashboard as Grafana would show it: /?board=overview&from=SECONDS&to=SECONDS. Marks the page when all is drawn.
import '@fontsource/inter/400.css';
import '@fontsource/inter/500.css';
import { createTheme, ThemeContext } from '@grafana/data';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { Dashboard } from './dashboard';

const parameters = new URLSearchParams(location.search);
const theme = createTheme({ colors: { mode: 'dark' } });
document.body.style.background = theme.colors.background.canvas;

// Sizes of figures are measured once, in the font that they will have.
await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 20px Inter`)));
const board = await (await fetch(`/boards/${parameters.get('board')}.json`)).json();
const range = { from: Number(parameters.get('from')), to: Number(parameters.get('to')) };

createRoot(document.getElementById('root')!).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <Dashboard board={board} range={range} open={parameters.get('open') === '1'} />
    <PortalContainer />
  </ThemeContext.Provider>
);
