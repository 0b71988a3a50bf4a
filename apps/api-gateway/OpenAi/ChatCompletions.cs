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
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Models.Dispatch;
using MultiAgent.Models.Providers;

namespace MultiAgent.Gateway.OpenAi;

/// <summary><c>POST /v1/chat/completions</c>: relays a model's or an agent's answer as bytes.</summary>
internal sealed class ChatCompletions(
    IModelDispatcher models, IAgentCompletions agents, CompletionJourneys journeys, ChatMetrics metrics, KeepAlive keepAlive,
    IOptions<LimitsOptions> limits, TimeProvider time)
{
    private const string AgentPrefix = "agent/";

    private readonly int _maxDepth = limits.Value.MaxJsonDepth;
    private readonly TimeSpan _bodyLimit = TimeSpan.FromSeconds(limits.Value.RequestTimeoutSeconds);

    public Task HandleAsync(HttpContext context)
    {
        ValueTask<RequestBytes> read = RequestBytes.ReadAsync(context.Request, _bodyLimit, context.RequestAborted);
        // Nearly every body is there at once, and then one state machine does for the request.
        return read.IsCompletedSuccessfully ? RelayAsync(context, read.Result) : AwaitedAsync(context, read);
    }

    private async Task AwaitedAsync(HttpContext context, ValueTask<RequestBytes> read) => await RelayAsync(context, await read);

    private Task RelayAsync(HttpContext context, RequestBytes body)
    {
        RequestInfo info = RequestInfo.Of(context);
        try
        {
            RequestEnvelope envelope = RequestEnvelope.Parse(body.Memory.Span, ModelOperation.Chat, _maxDepth);
            if (!envelope.HasInput || envelope.ItemCount == 0) throw new EnvelopeException("'messages' must hold at least one message.", "messages");
            return envelope.Model.StartsWith(AgentPrefix, StringComparison.Ordinal) ? RelayAgentAsync(context, info, body, envelope, envelope.Model[AgentPrefix.Length..])
                : envelope.Model.StartsWith(AgentCompletionRequest.WorkflowPrefix, StringComparison.Ordinal) ? RelayAgentAsync(context, info, body, envelope, envelope.Model)
                : RelayModelAsync(context, info, body, envelope);
        }
        catch (EnvelopeException e)
        {
            body.Dispose();
            return ErrorWriter.WriteAsync(context, 400, e.TooDeep ? ErrorCodes.JsonTooDeep : e.Param is null ? ErrorCodes.InvalidJson : ErrorCodes.InvalidRequest, e.Message, e.Param);
        }
    }

    private async Task RelayModelAsync(HttpContext context, RequestInfo info, RequestBytes body, RequestEnvelope envelope)
    {
        using RequestBytes held = body;
        Caller caller = info.Caller!;
        metrics.Requested("model");
        var books = new CompletionBooks(journeys, metrics, context, info, envelope.User);
        try
        {
            await using ModelExchange exchange = await models.SendAsync(new ModelCall
            {
                Body = body.Memory,
                Envelope = envelope,
                Usage = new UsageContext { TenantId = caller.TenantId, ApiKeyId = caller.ApiKeyId, UserId = caller.UserId, RequestId = info.RequestId },
            }, context.RequestAborted);
            WriteHeaders(context.Response, info, exchange);
            if (exchange.IsEventStream) books.Close(await ResponseRelay.StreamAsync(context, exchange.Body, keepAlive, exchange, books));
            else
            {
                books.Close(exchange.StatusCode < 400 ? "completed" : "failed");
                await ResponseRelay.JsonAsync(context, exchange.StatusCode, exchange.Body);
            }
        }
        catch (ModelException e)
        {
            books.Close("failed");
            await ErrorWriter.WriteAsync(context, e.Status, e.Code, e.Message, retryAfter: e.RetryAfter);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            books.Close("abandoned");
            if (!context.Response.HasStarted) context.Response.StatusCode = 499;
        }
        finally
        {
            books.Close("failed");
        }
    }

    private async Task RelayAgentAsync(HttpContext context, RequestInfo info, RequestBytes body, RequestEnvelope envelope, string agent)
    {
        using RequestBytes held = body;
        // The orchestrator keeps the books of its runs.
        await using IAgentCompletion completion = await agents.CompleteAsync(new AgentCompletionRequest
        {
            Caller = info.Caller!,
            Agent = agent,
            Body = body.Memory,
            Stream = envelope.Stream,
            RequestId = info.RequestId,
            IdempotencyKey = context.Request.IdempotencyKey(),
            JourneyId = CompletionJourneys.JourneyIdOf(context.Request),
        }, context.RequestAborted);
        IHeaderDictionary headers = context.Response.Headers;
        if (completion.RunId is { } runId) headers["x-maap-run-id"] = runId;
        if (completion.RetryAfterSeconds is { } retry) headers.RetryAfter = retry.ToString(CultureInfo.InvariantCulture);
        if (envelope.Stream && completion.StatusCode == 200)
        {
            await ResponseRelay.StreamAsync(context, completion.Body, keepAlive, null, null);
            if (completion.Failed) context.DoNotKeepAnswer();
        }
        else await ResponseRelay.JsonAsync(context, completion.StatusCode, completion.Body);
    }

    private void WriteHeaders(HttpResponse response, RequestInfo info, ModelExchange exchange)
    {
        IHeaderDictionary headers = response.Headers;
        headers["x-maap-model"] = exchange.Model.Id;
        TimeSpan total = time.GetElapsedTime(info.Started);
        headers["openai-processing-ms"] = SmallNumbers.Text((long)total.TotalMilliseconds);
        headers["x-maap-overhead-ms"] = SmallNumbers.Thousandths(Math.Max(0, (long)(total - exchange.UpstreamTime).TotalMicroseconds));
        if (exchange.PriorAttempts > 0) headers["x-maap-prior-attempts"] = exchange.PriorAttempts.ToString(CultureInfo.InvariantCulture);
        if (!exchange.IsEventStream && exchange.CostUsd is { } cost) headers["x-maap-cost-usd"] = cost.ToString(CultureInfo.InvariantCulture);
    }
}
