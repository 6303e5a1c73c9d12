import { mount } from 'svelte';
import App from './App.svelte';
import { follow } from './theme';

follow();
mount(App, { target: document.body });
