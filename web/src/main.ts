// Where the page begins.
import { mount } from 'svelte';
import 'uplot/dist/uPlot.min.css';
import './app.css';
import App from './App.svelte';

const target = document.getElementById('page');
if (target === null) throw new Error('index.html has no #page');
mount(App, { target });
