using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Limits;
using MultiAgent.Models.Dispatch;
using MultiAgent.Models.Providers;

namespace MultiAgent.Gateway.OpenAi;

/// <summary><c>POST /v1/embeddings</c>.</summary>
internal sealed class Embeddings(IModelDispatcher models, IOptions<LimitsOptions> limits)
{
    private const int MaxInputs = 2048;

    private readonly int _maxDepth = limits.Value.MaxJsonDepth;
    private readonly TimeSpan _bodyLimit = TimeSpan.FromSeconds(limits.Value.RequestTimeoutSeconds);

    public async Task HandleAsync(HttpContext context)
    {
        RequestInfo info = RequestInfo.Of(context);
        Caller caller = info.Caller!;
        using RequestBytes body = await RequestBytes.ReadAsync(context.Request, _bodyLimit, context.RequestAborted);
        try
        {
            RequestEnvelope envelope = RequestEnvelope.Parse(body.Memory.Span, ModelOperation.Embeddings, _maxDepth);
            if (!envelope.HasInput) throw new EnvelopeException("'input' is required.", "input");
            if (envelope.ItemCount > MaxInputs) throw new EnvelopeException($"'input' holds {envelope.ItemCount} entries; at most {MaxInputs} are allowed.", "input");
            if (envelope.Stream) throw new EnvelopeException("Embeddings do not stream.", "stream");
            if (envelope.Model.StartsWith("agent/", StringComparison.Ordinal) || envelope.Model.StartsWith("workflow/", StringComparison.Ordinal)) throw new EnvelopeException("Agents and workflows make no embeddings; name an embedding model.", "model");
            await using ModelExchange exchange = await models.SendAsync(new ModelCall
            {
                Body = body.Memory,
                Envelope = envelope,
                Operation = ModelOperation.Embeddings,
                Usage = new UsageContext { TenantId = caller.TenantId, ApiKeyId = caller.ApiKeyId, UserId = caller.UserId, RequestId = info.RequestId },
            }, context.RequestAborted);
            context.Response.Headers["x-maap-model"] = exchange.Model.Id;
            await ResponseRelay.JsonAsync(context, exchange.StatusCode, exchange.Body);
        }
        catch (EnvelopeException e)
        {
            await ErrorWriter.WriteAsync(context, 400, e.TooDeep ? ErrorCodes.JsonTooDeep : e.Param is null ? ErrorCodes.InvalidJson : ErrorCodes.InvalidRequest, e.Message, e.Param);
        }
        catch (ModelException e)
        {
            await ErrorWriter.WriteAsync(context, e.Status, e.Code, e.Message, retryAfter: e.RetryAfter);
        }
    }
}
