using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Timeouts;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Model;

namespace MultiAgent.Gateway.Routing;

/// <summary>
/// Sends a request again that no service has seen, or that may be done twice: to another replica, and after a pause to the same when it is the only one.
/// That carries requests over a restart. A failure is told in the platform's own words.
/// </summary>
internal sealed class ProxyRetry(RequestDelegate next, TimeProvider time)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    public async Task InvokeAsync(HttpContext context)
    {
        IReverseProxyFeature proxy = context.GetReverseProxyFeature();
        IReadOnlyList<DestinationState> all = proxy.AvailableDestinations;
        long started = time.GetTimestamp();
        TimeSpan pause = FirstPause;
        var tried = new List<DestinationState>();
        Stream body = context.Request.Body;
        var watched = new WatchedBody(body);
        context.Request.Body = watched;
        try
        {
            while (true)
            {
                await next(context);
                if (context.Features.Get<IForwarderErrorFeature>() is not { } failure || context.Response.HasStarted) return;
                if (!MayRepeat(context, failure, watched) || time.GetElapsedTime(started) > Patience)
                {
                    await TellAsync(context, failure);
                    return;
                }
                if (proxy.ProxiedDestination is { } last) tried.Add(last);
                DestinationState[] left = [.. all.Where(d => !tried.Contains(d))];
                if (left.Length == 0)
                {
                    await Task.Delay(pause, time, context.RequestAborted);
                    pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestPause.Ticks));
                    tried.Clear();
                    // By now the health checks may know more.
                    if (context.GetRouteModel().Cluster?.DestinationsState.AvailableDestinations is { Count: > 0 } now) all = now;
                    left = [.. all];
                }
                context.Features.Set<IForwarderErrorFeature>(null);
                context.Response.Clear();
                proxy.AvailableDestinations = left;
            }
        }
        finally
        {
            context.Request.Body = body;
        }
    }

    private static bool MayRepeat(HttpContext context, IForwarderErrorFeature failure, WatchedBody body)
    {
        if (body.WasRead || context.RequestAborted.IsCancellationRequested) return false;
        if (failure.Error == ForwarderError.NoAvailableDestinations) return true;
        // No connection in time: nothing was sent.
        if (failure.Exception is OperationCanceledException { InnerException: TimeoutException }) return true;
        if (failure.Error is not ForwarderError.Request) return false;
        bool neverSent = failure.Exception is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError };
        return neverSent || HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method) || HttpMethods.IsOptions(context.Request.Method);
    }

    private static Task TellAsync(HttpContext context, IForwarderErrorFeature failure)
    {
        // What the host's own rules say of a body is the host's to tell.
        for (Exception? e = failure.Exception; e is not null; e = e.InnerException)
            if (e is BadHttpRequestException bad) throw bad;
        bool timedOut = failure.Error is ForwarderError.RequestTimedOut || context.Features.Get<IHttpRequestTimeoutFeature>() is { RequestTimeoutToken.IsCancellationRequested: true };
        if (timedOut) return ErrorWriter.WriteAsync(context, 504, ErrorCodes.RequestTimeout, "The request took longer than this server allows.");
        if (context.RequestAborted.IsCancellationRequested)
        {
            context.Response.StatusCode = 499;
            return Task.CompletedTask;
        }
        return ErrorWriter.WriteAsync(context, 503, ErrorCodes.ServiceUnavailable, "The service behind this path cannot be reached at the moment. Try again.", retryAfter: TimeSpan.FromSeconds(1));
    }

    /// <summary>Knows whether any of the body was taken: what is gone cannot be sent again.</summary>
    private sealed class WatchedBody(Stream inner) : Stream
    {
        public bool WasRead { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("The body is read asynchronously.");

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int read = await inner.ReadAsync(buffer, cancellationToken);
            if (read > 0) WasRead = true;
            return read;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Flush() => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
