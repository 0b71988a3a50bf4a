using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

/// <summary>
/// Loaded by the runtime into any .NET server named in DOTNET_STARTUP_HOOKS. It answers each connection on
/// BENCH_PROBE_PORT with one line, "bytes allocated so far, bytes in the heap, collections", so that servers are
/// measured in the same way and none of them has to offer anything.
/// </summary>
internal static class StartupHook
{
    public static void Initialize()
    {
        if (!int.TryParse(Environment.GetEnvironmentVariable("BENCH_PROBE_PORT"), CultureInfo.InvariantCulture, out var port))
            return;
        new Thread(() => Serve(port)) { IsBackground = true, Name = "allocation probe" }.Start();
    }

    private static void Serve(int port)
    {
        using var listener = new TcpListener(IPAddress.Loopback, port);
        listener.Start();
        while (true)
        {
            using var connection = listener.AcceptSocket();
            try
            {
                connection.Send(Encoding.ASCII.GetBytes(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{GC.GetTotalAllocatedBytes()} {GC.GetTotalMemory(forceFullCollection: false)} {GC.CollectionCount(0)}\n")));
            }
            catch (SocketException)
            {
                // The harness went away in the middle of a question.
            }
        }
    }
}
