using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Limits;
using MultiAgent.Models.Dispatch;
using MultiAgent.Models.Providers;

namespace MultiAgent.Gateway.OpenAi;

/// <summary><c>POST /v1/chat/completions</c>: relays a model's or an agent's answer as bytes.</summary>
internal sealed class ChatCompletions(
    IModelDispatcher models, IAgentCompletions agents, CompletionJourneys journeys, GatewayMetrics metrics, KeepAlive keepAlive,
    IOptions<LimitsOptions> limits, TimeProvider time)
{
    private const string AgentPrefix = "agent/";

    private readonly int _maxDepth = limits.Value.MaxJsonDepth;

    public async Task HandleAsync(HttpContext context)
    {
        RequestInfo info = RequestInfo.Of(context);
        metrics.ChatRequested();
        using RequestBytes body = await RequestBytes.ReadAsync(context.Request, context.RequestAborted);
        RequestEnvelope envelope;
        try
        {
            envelope = RequestEnvelope.Parse(body.Memory.Span, ModelOperation.Chat, _maxDepth);
            if (!envelope.HasInput || envelope.ItemCount == 0) throw new EnvelopeException("'messages' must hold at least one message.", "messages");
        }
        catch (EnvelopeException e)
        {
            await ErrorWriter.WriteAsync(context, 400, e.TooDeep ? ErrorCodes.JsonTooDeep : e.Param is null ? ErrorCodes.InvalidJson : ErrorCodes.InvalidRequest, e.Message, e.Param);
            return;
        }
        if (envelope.Model.StartsWith(AgentPrefix, StringComparison.Ordinal)) await RelayAgentAsync(context, info, body.Memory, envelope);
        else await RelayModelAsync(context, info, body.Memory, envelope);
    }

    private async Task RelayModelAsync(HttpContext context, RequestInfo info, ReadOnlyMemory<byte> body, RequestEnvelope envelope)
    {
        Caller caller = info.Caller!;
        string outcome = "failed";
        try
        {
            await using ModelExchange exchange = await models.SendAsync(new ModelCall
            {
                Body = body,
                Envelope = envelope,
                Usage = new UsageContext { TenantId = caller.TenantId, ApiKeyId = caller.ApiKeyId, UserId = caller.UserId, RequestId = info.RequestId },
            }, context.RequestAborted);
            WriteHeaders(context.Response, info, exchange);
            outcome = exchange.IsEventStream
                ? await ResponseRelay.StreamAsync(context, exchange.Body, keepAlive)
                : await ResponseRelay.JsonAsync(context, exchange.StatusCode, exchange.Body);
        }
        catch (ModelException e)
        {
            await ErrorWriter.WriteAsync(context, e.Status, e.Code, e.Message, retryAfter: e.RetryAfter);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            outcome = "abandoned";
            if (!context.Response.HasStarted) context.Response.StatusCode = 499;
        }
        finally
        {
            // In the books before the response ends, so that an answer that a client has seen whole is always counted.
            journeys.Record(context, info, envelope.User, outcome);
            metrics.ChatCompleted(outcome);
        }
    }

    private async Task RelayAgentAsync(HttpContext context, RequestInfo info, ReadOnlyMemory<byte> body, RequestEnvelope envelope)
    {
        string outcome = "failed";
        try
        {
            await using IAgentCompletion completion = await agents.CompleteAsync(new AgentCompletionRequest
            {
                Caller = info.Caller!,
                Agent = envelope.Model[AgentPrefix.Length..],
                Body = body,
                Stream = envelope.Stream,
                RequestId = info.RequestId,
                IdempotencyKey = context.Request.IdempotencyKey(),
                JourneyId = CompletionJourneys.JourneyIdOf(context.Request),
            }, context.RequestAborted);
            IHeaderDictionary headers = context.Response.Headers;
            if (completion.RunId is { } runId) headers["x-maap-run-id"] = runId;
            if (completion.RetryAfterSeconds is { } retry) headers.RetryAfter = retry.ToString(CultureInfo.InvariantCulture);
            outcome = envelope.Stream && completion.StatusCode == 200
                ? await ResponseRelay.StreamAsync(context, completion.Body, keepAlive)
                : await ResponseRelay.JsonAsync(context, completion.StatusCode, completion.Body);
        }
        finally
        {
            metrics.ChatCompleted(outcome);
        }
    }

    private void WriteHeaders(HttpResponse response, RequestInfo info, ModelExchange exchange)
    {
        IHeaderDictionary headers = response.Headers;
        headers["x-maap-model"] = exchange.Model.Id;
        TimeSpan total = time.GetElapsedTime(info.Started);
        headers["openai-processing-ms"] = ((long)total.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        headers["x-maap-overhead-ms"] = Math.Max(0, (total - exchange.UpstreamTime).TotalMilliseconds).ToString("0.###", CultureInfo.InvariantCulture);
        if (exchange.PriorAttempts > 0) headers["x-maap-prior-attempts"] = exchange.PriorAttempts.ToString(CultureInfo.InvariantCulture);
        if (!exchange.IsEventStream && exchange.CostUsd is { } cost) headers["x-maap-cost-usd"] = cost.ToString(CultureInfo.InvariantCulture);
    }
}
