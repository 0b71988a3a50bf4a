using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Limits;

namespace MultiAgent.Hosting.Edge;

/// <summary>
/// Makes a request's time limit end the reading of its body too: the binding of JSON does not look at the token that the limit
/// cancels, so that a body in drips would outlast it. Where the answer has no time limit, the body that is bound has one all the same.
/// </summary>
internal sealed class BodyTimeLimit(RequestDelegate next, IOptions<LimitsOptions> limits, TimeProvider time)
{
    private readonly TimeSpan _limit = TimeSpan.FromSeconds(limits.Value.RequestTimeoutSeconds);

    public Task InvokeAsync(HttpContext context)
    {
        if (context.Features.Get<IHttpRequestBodyDetectionFeature>() is not { CanHaveBody: true }) return next(context);
        if (context.Features.Get<IHttpRequestTimeoutFeature>() is { } limit) return BoundAsync(context, limit.RequestTimeoutToken);
        return context.GetEndpoint()?.Metadata is { } metadata && metadata.GetMetadata<IAcceptsMetadata>() is not null && metadata.GetMetadata<ReadsOwnBody>() is null
            ? TimedAsync(context)
            : next(context);
    }

    private async Task TimedAsync(HttpContext context)
    {
        using var timer = new CancellationTokenSource(_limit, time);
        try
        {
            await BoundAsync(context, timer.Token);
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            throw new BadHttpRequestException("The body arrived too slowly.", StatusCodes.Status408RequestTimeout);
        }
    }

    private async Task BoundAsync(HttpContext context, CancellationToken limit)
    {
        using (limit.UnsafeRegister(static state => ((HttpContext)state!).Request.BodyReader.CancelPendingRead(), context)) await next(context);
    }
}

/// <summary>Endpoint metadata: the handler reads the body itself and bounds the time that it takes, at less cost than a timer per request.</summary>
public sealed class ReadsOwnBody;
