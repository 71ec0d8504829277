/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ECHO_MESSAGE_HPP
#define ECHO_MESSAGE_HPP

/* What the echo's services and clients share. */
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "echo.grpc.pb.h"

using test::Echo;
using test::Message;

inline Message message(const std::string &text, uint32_t count = 0)
{
	Message m;

	m.set_text(text);
	m.set_count(count);
	return m;
}

inline grpc::Status answer_of(const Message &m)
{
	return m.status() == 0
	               ? grpc::Status::OK
	               : grpc::Status(static_cast<grpc::StatusCode>(m.status()), "as asked");
}

/* A completion queue used in sequence: one operation, then its event. */
template <class Queue> struct Steps {
	std::unique_ptr<Queue> cq;

	/* Takes the next event; whether it went well. */
	bool step()
	{
		void *tag;
		bool ok;

		return cq->Next(&tag, &ok) && ok;
	}

	void close()
	{
		void *tag;
		bool ok;

		cq->Shutdown();
		while (cq->Next(&tag, &ok))
			;
	}
};

#endif
