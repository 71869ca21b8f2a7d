// Puts the page together and opens what its address asks for.

import './style/base.css';
import './style/layout.css';
import './style/panels.css';
import './style/tablet.css';
import { api } from './api/client.ts';
import type { App } from './app.ts';
import type { Vec3 } from './api/types.ts';
import { h, svg } from './dom.ts';
import { listenToDrops } from './drop.ts';
import { listenToKeys } from './keyboard.ts';
import { Notices } from './notices.ts';
import { classPanel } from './panels/classes.ts';
import { exportDialog } from './panels/export-dialog.ts';
import { header } from './panels/header.ts';
import { helpDialog } from './panels/help-dialog.ts';
import { objectPanel } from './panels/objects.ts';
import { obliqueBar } from './panels/oblique-bar.ts';
import { openDialog } from './panels/open-dialog.ts';
import { resultPanel } from './panels/results.ts';
import { sliceBars } from './panels/slice-bars.ts';
import { type PanelName, splitters } from './panels/splitters.ts';
import { statusBar } from './panels/status.ts';
import { boxActions, toolbar, underline } from './panels/toolbar.ts';
import { Comparing } from './session/comparing.ts';
import { Jobs } from './session/jobs.ts';
import { isShown, lookOf } from './session/looks.ts';
import { Measurements } from './session/measurements.ts';
import { Opening } from './session/opening.ts';
import { Prompts } from './session/prompts.ts';
import { Store } from './session/state.ts';
import { Sync } from './session/sync.ts';
import { WorkList } from './session/work-list.ts';
import { language, texts } from './strings.ts';
import { applyTheme } from './theme.ts';
import { BoxTool } from './tools/box.ts';
import { BrushTool } from './tools/brush.ts';
import { ClickTool } from './tools/click.ts';
import { LassoTool } from './tools/lasso.ts';
import { MeasureTool } from './tools/measure.ts';
import { NavigateTool } from './tools/navigate.ts';
import { Pointer } from './tools/pointer.ts';
import { ScribbleTool } from './tools/scribble.ts';
import { DifferenceLayer } from './view/difference.ts';
import { shownSlab } from './view/thick-slab.ts';
import { View } from './view/view.ts';

function buildApp(): App {
  const store = new Store();
  const view = new View();
  const notices = new Notices();
  const sync = new Sync(store, view, notices);
  const jobs = new Jobs(store);
  jobs.onChange = (revision) => void sync.catchUp(revision);
  const prompts = new Prompts(store, view, sync, jobs, notices);
  const measurements = new Measurements(store, notices);
  const opening = new Opening(store, view, sync, jobs, measurements, notices);
  const comparing = new Comparing(store, view, sync);
  const workList = new WorkList(store, opening, notices);
  return { comparing, store, view, notices, jobs, measurements, opening, prompts, workList };
}

function buildPage(app: App, canvas: HTMLCanvasElement): { openScan: () => void } {
  const { store, view, prompts, measurements } = app;
  const layer = svg('svg', {
    class: 'layer', tabindex: 0, role: 'application', 'aria-label': texts.page.picture,
  }) as SVGSVGElement;
  const pointer = new Pointer(layer, view, store, {
    navigate: new NavigateTool(view),
    click: new ClickTool(view, prompts),
    box: new BoxTool(view, store, prompts),
    scribble: new ScribbleTool(view, store, prompts),
    lasso: new LassoTool(view, store, prompts),
    brush: new BrushTool(view, store, prompts),
    ruler: new MeasureTool('ruler', view, store, measurements),
    angle: new MeasureTool('angle', view, store, measurements),
    ellipse: new MeasureTool('ellipse', view, store, measurements),
  });
  pointer.backdrop = new DifferenceLayer(view, store);
  const open = openDialog(app);
  const help = helpDialog(app);
  const saving = exportDialog(app, layer);
  const borders = splitters();
  const dialogs = {
    open: () => open.present(),
    save: () => store.state.session && saving.showModal(),
    help: () => help.showModal(),
    search: () => {
      borders.classes.turn(true);
      document.getElementById('class-search')?.focus();
    },
    turnPanel: (name: PanelName) => borders[name].turn(),
  };
  store.watch(['tool'], ({ tool }) => layer.setAttribute('data-tool', tool));
  store.watch(['layout'], ({ layout }) => layer.setAttribute('data-layout', layout));
  document.body.append(
    header(app, dialogs.open, dialogs.save, dialogs.help),
    classPanel(app),
    h('main', {},
      toolbar(app),
      h('div', { class: 'picture' }, canvas, layer, sliceBars(app), obliqueBar(app), boxActions(app, () => pointer.tool)),
      underline(app)),
    h('aside', { id: 'side' }, objectPanel(app), resultPanel(app), borders.objects.element),
    borders.classes.element, borders.side.element, statusBar(app), open, saving, help, app.notices.element,
  );
  listenToKeys(app, pointer, layer, dialogs);
  listenToDrops((files, folder) => {
    open.close();
    void app.opening.files(files, folder);
  });
  return { openScan: dialogs.open };
}

function bindView({ store, view }: App): void {
  store.watch(['opacity', 'overlay'], ({ opacity, overlay }) => view.setOpacity(overlay ? opacity : 0));
  store.watch(['ctIn3D'], ({ ctIn3D }) => view.setCtIn3D(ctIn3D));
  store.watch(['slab', 'tool'], (state) => {
    const slab = shownSlab(state);
    if (slab !== view.slab) view.setSlab(slab);
  });
  store.watch(['oblique'], ({ oblique }) => view.oblique.turn(oblique));
  store.watch(['session', 'active', 'solo', 'looks', 'comparison'], (state) => {
    view.setObjects((state.session?.objects ?? []).map((object) => {
      const { opacity, outline } = lookOf(state.looks, object.id);
      return { id: object.id, colour: object.colour, outline: outline || state.comparison !== null, opacity: isShown(object, state) ? opacity : 0 };
    }));
  });
  view.onLocation = ({ display, mm, hu }) => {
    if (!view.axes || !view.labels) return;
    const voxel: Vec3 = view.axes.toFile(display);
    store.set({ cursor: { voxel, mm, hu, object: view.labels.at(display) } });
  };
}

/** `#session=ID` continues, `#open=PATH` opens a file the server may read; otherwise the user is asked. */
async function openFromAddress(app: App, ask: () => void): Promise<void> {
  const asked = new URLSearchParams(location.hash.slice(1));
  const [session, path] = [asked.get('session'), asked.get('open')];
  const opened = session ? await app.opening.session(session) : path ? await app.opening.path(path) : false;
  if (!opened) ask();
}

async function start(): Promise<void> {
  applyTheme();
  document.documentElement.lang = language;
  const app = buildApp();
  const canvas = h('canvas', { 'aria-hidden': 'true' });
  const { openScan } = buildPage(app, canvas);
  try {
    await app.view.attach(canvas);
    bindView(app);
    const info = await api.info();
    app.store.set({ info, classes: await api.classes(info.default_model) });
    await openFromAddress(app, openScan);
  } catch (error) {
    app.notices.error(error);
  }
}

void start();
