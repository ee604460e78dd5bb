#!/usr/bin/env node
// Checked in, because npm links a package's commands when it installs, which is before the build.
import "../dist/cli/eddy.js";
