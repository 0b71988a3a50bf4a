using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Timeouts;

namespace MultiAgent.Hosting.Edge;

/// <summary>
/// Makes a request's time limit end the reading of its body too: the binding of JSON does not look at the token that the limit
/// cancels, so that a body in drips would outlast it.
/// </summary>
internal static class BodyTimeLimit
{
    public static Task InvokeAsync(HttpContext context, RequestDelegate next) =>
        context.Features.Get<IHttpRequestTimeoutFeature>() is { } limit && context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true }
            ? BoundAsync(context, next, limit)
            : next(context);

    private static async Task BoundAsync(HttpContext context, RequestDelegate next, IHttpRequestTimeoutFeature limit)
    {
        using (limit.RequestTimeoutToken.UnsafeRegister(static state => ((HttpContext)state!).Request.BodyReader.CancelPendingRead(), context)) await next(context);
    }
}
