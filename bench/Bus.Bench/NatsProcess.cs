using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace MultiAgent.Bench.Bus;

/// <summary>A NATS server with JetStream for the time of the benchmark, its store in a temporary folder.</summary>
internal sealed class NatsProcess : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("maap-bus-nats").FullName;
    private readonly Process _process;

    private NatsProcess(int port)
    {
        Url = string.Create(CultureInfo.InvariantCulture, $"nats://127.0.0.1:{port}");
        _process = Process.Start(new ProcessStartInfo("nats-server", ["-a", "127.0.0.1", "-p", port.ToString(CultureInfo.InvariantCulture), "-js", "-sd", _folder, "-l", Path.Combine(_folder, "log")]) { UseShellExecute = false })!;
    }

    public string Url { get; }

    public static async Task<NatsProcess> StartAsync()
    {
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var port = ((IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        var nats = new NatsProcess(port);
        for (var tries = 0; ; tries++)
        {
            try
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync(IPAddress.Loopback, port);
                return nats;
            }
            catch (SocketException) when (tries < 200)
            {
                await Task.Delay(50);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
