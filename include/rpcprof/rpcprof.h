/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_RPCPROF_H
#define RPCPROF_RPCPROF_H

/* Everything of the core. rpc/ and export/ have headers of their own: call.h, grpc.h, export.h. */
#include "rpcprof/buffer.h"
#include "rpcprof/clock.h"
#include "rpcprof/control.h"
#include "rpcprof/lock.h"
#include "rpcprof/stat.h"
#include "rpcprof/tag.h"
#include "rpcprof/timer.h"
#include "rpcprof/version.h"
#include "rpcprof/view.h"

#endif
