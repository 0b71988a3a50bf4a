// A one-step agent on the LangGraph.js library behind plain HTTP: POST /v1/chat/completions with messages. PORT and PROVIDER (base URL, ending in /v1) are in the environment.
import http from 'node:http';
import { END, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph';
import { ChatOpenAI } from '@langchain/openai';

const model = new ChatOpenAI({ model: 'bench-model', apiKey: 'x', maxRetries: 0, configuration: { baseURL: process.env.PROVIDER } });
const graph = new StateGraph(MessagesAnnotation)
  .addNode('agent', async (state) => ({ messages: [await model.invoke(state.messages)] }))
  .addEdge(START, 'agent')
  .addEdge('agent', END)
  .compile();

http.createServer(async (request, response) => {
  if (request.method !== 'POST') return response.end('ok');
  try {
    const parts = [];
    for await (const part of request) parts.push(part);
    const { messages } = JSON.parse(Buffer.concat(parts));
    const end = await graph.invoke({ messages });
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ content: end.messages.at(-1).content }));
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error));
  }
}).listen(Number(process.env.PORT), '127.0.0.1');
