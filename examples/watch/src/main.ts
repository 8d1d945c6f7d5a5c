#!/usr/bin/env node
import { runProgram } from '@chat-service/terminal/run-program';
import { explain } from './explain-error.ts';
import { flags, usage } from './options.ts';
import { watch } from './watch.ts';

process.exitCode = await runProgram({ usage, flags, run: watch, explain }, process);
