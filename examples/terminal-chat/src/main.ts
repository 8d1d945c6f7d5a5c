#!/usr/bin/env node
import { runProgram } from '@chat-service/terminal/run-program';
import { chat } from './chat.ts';
import { explain } from './explain-error.ts';
import { flags, usage } from './options.ts';

process.exitCode = await runProgram({ usage, flags, run: chat, explain }, process);
